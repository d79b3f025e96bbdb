#include "edge-runtime/mcplet/desired_view.h"

#include <utility>

#include "base/digest.h"
#include "crd/codec.h"

namespace mcpfleet {

DesiredServer DecodeDesired(const SyncedObject& synced, const NodePolicy& policy) {
  DesiredServer server{.key = {synced.entry.key.namespace_, synced.entry.key.name},
                       .uid = synced.entry.uid,
                       .generation = synced.entry.generation,
                       .pending = synced.pending};
  if (!synced.mismatch.empty()) {
    server.rejected_reason = "EntryMismatch";
    server.rejected_message = synced.mismatch;
  }
  if (synced.object == nullptr) return server;
  const Object& object = *synced.object;
  server.labels = object.metadata.labels;
  StatusOr<ServerSpec> spec = ServerSpecOf(object);
  if (!spec.ok()) {
    // An older mcplet meets fields that it does not know; everything else is a bad object that got past mcpctl.
    bool unknown = Message(spec.status()).find("unknown field") != std::string::npos;
    server.rejected_reason = unknown ? "UnsupportedField" : "InvalidSpec";
    server.rejected_message = Message(spec.status());
    return server;
  }
  server.spec = *std::move(spec);
  server.revision = RevisionOf(server.spec);
  if (auto it = object.metadata.annotations.find(kRestartedAtAnnotation); it != object.metadata.annotations.end()) {
    server.revision = Sha256Hex(server.revision + "\n" + it->second);
  }
  if (std::string refused = Forbidden(policy, server.spec); !refused.empty() && server.rejected_reason.empty()) {
    server.rejected_reason = "ForbiddenByNode";
    server.rejected_message = refused;
  }
  return server;
}

DesiredView::DesiredView(NodePolicy policy)
    : policy_(std::move(policy)), current_(std::make_shared<const DesiredSnapshot>()) {}

bool DesiredView::Update(const AcceptedState& state) {
  std::map<ObjectKey, Decoded> next;
  auto snapshot = std::make_shared<DesiredSnapshot>();
  if (state.head.has_value()) {
    snapshot->head = ToString(state.head->order);
    snapshot->snapshot = state.head->snapshot;
  }
  snapshot->seen_at = state.seen_at;
  snapshot->removals_allowed = state.removals_allowed;
  bool changed = false;
  for (const auto& [key, synced] : state.objects) {
    if (key.kind != kKindServer) continue;
    auto before = decoded_.find(key);
    Decoded decoded{synced.entry.hash, synced.mismatch, synced.pending, synced.object, nullptr};
    if (before != decoded_.end() && before->second.hash == decoded.hash && before->second.pending == decoded.pending &&
        before->second.mismatch == decoded.mismatch && before->second.object == decoded.object) {
      decoded.server = before->second.server;
    } else {
      decoded.server = std::make_shared<const DesiredServer>(DecodeDesired(synced, policy_));
      changed = true;
    }
    snapshot->servers[decoded.server->key] = decoded.server;
    next[key] = std::move(decoded);
  }
  changed = changed || next.size() != decoded_.size();
  decoded_ = std::move(next);
  MutexLock lock(&mu_);
  changed = changed || snapshot->removals_allowed != current_->removals_allowed || snapshot->head != current_->head;
  current_ = std::move(snapshot);
  return changed;
}

std::shared_ptr<const DesiredSnapshot> DesiredView::Current() const {
  MutexLock lock(&mu_);
  return current_;
}

}  // namespace mcpfleet
