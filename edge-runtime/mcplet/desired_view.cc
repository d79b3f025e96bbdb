#include "edge-runtime/mcplet/desired_view.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "crd/codec.h"
#include "crd/secret_spec.h"

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

namespace {

std::map<std::string, HeldSecret> SecretsOf(const SyncedObject& server, const AcceptedState& state) {
  std::map<std::string, HeldSecret> out;
  if (server.object == nullptr) return out;
  for (const std::string& name : SecretNamesOf(server.object->spec)) {
    auto it = state.objects.find({kKindSecret, server.entry.key.namespace_, name});
    out[name] = it == state.objects.end() ? HeldSecret{} : HeldSecret{it->second.object, it->second.mismatch};
  }
  return out;
}

bool SameSecrets(const std::map<std::string, HeldSecret>& a, const std::map<std::string, HeldSecret>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.object == y.second.object && x.second.mismatch == y.second.mismatch;
  });
}

void Resolve(const SecretKeeper& keeper, const std::map<std::string, HeldSecret>& secrets, DesiredServer* server) {
  if (secrets.empty() || !server->rejected_reason.empty()) return;
  SecretKeeper::Resolved resolved = keeper.Resolve(server->key.namespace_, server->spec, secrets);
  server->unresolved_reason = std::move(resolved.reason);
  server->unresolved_message = std::move(resolved.message);
  server->secrets = std::move(resolved.source);
  server->pull_secret_version = std::move(resolved.pull_version);
  if (!resolved.versions.empty()) server->revision = Sha256Hex(server->revision + "\nsecrets\n" + resolved.versions);
}

}  // namespace

DesiredView::DesiredView(NodePolicy policy, SecretKeeper* secrets)
    : policy_(std::move(policy)), secrets_(secrets), current_(std::make_shared<const DesiredSnapshot>()) {}

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
  if (secrets_ != nullptr) secrets_->Reload();
  const std::string sealing_key = secrets_ == nullptr ? "" : secrets_->public_key();
  for (const auto& [key, synced] : state.objects) {
    if (key.kind != kKindServer) continue;
    auto before = decoded_.find(key);
    Decoded decoded{synced.entry.hash, synced.mismatch, synced.pending, synced.object, {}, "", nullptr};
    decoded.secrets = SecretsOf(synced, state);
    if (!decoded.secrets.empty()) decoded.sealing_key = sealing_key;
    if (before != decoded_.end() && before->second.hash == decoded.hash && before->second.pending == decoded.pending &&
        before->second.mismatch == decoded.mismatch && before->second.object == decoded.object &&
        SameSecrets(before->second.secrets, decoded.secrets) && before->second.sealing_key == decoded.sealing_key) {
      decoded.server = before->second.server;
    } else {
      auto server = std::make_shared<DesiredServer>(DecodeDesired(synced, policy_));
      static const SecretKeeper no_keeper("");
      Resolve(secrets_ == nullptr ? no_keeper : *secrets_, decoded.secrets, server.get());
      decoded.server = std::move(server);
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
