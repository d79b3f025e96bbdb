#include "edge-runtime/mcplet/desired_view.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "controller/placement/place.h"
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
    HeldSecret& held = out[name];
    if (it == state.objects.end()) continue;
    held.object = it->second.object;
    held.mismatch = it->second.mismatch;
  }
  return out;
}

std::map<std::string, HeldSecret> SecretsOf(const Object& server, const kube::ClusterState& state) {
  std::map<std::string, HeldSecret> out;
  const std::string& space = server.metadata.namespace_;
  for (const std::string& name : SecretNamesOf(server.spec)) {
    HeldSecret& held = out[name];
    if (auto sealed = state.objects.find({kKindSecret, space, name}); sealed != state.objects.end()) {
      held.object = sealed->second;
      continue;
    }
    const auto core = state.core_secrets.find({space, name});
    held.unread = core == state.core_secrets.end() || !core->second.read;
    if (held.unread) continue;
    held.plain = core->second.secret;
    held.mismatch = core->second.problem;
    held.forbidden = core->second.forbidden;
  }
  return out;
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

// How many of which nodes are up is what the Worker tells; a cluster has nobody who would.
void RefuseReplicas(const Object& object, DesiredServer* server) {
  if (!server->rejected_reason.empty() || !ReplicasOf(GetMember(object.spec, "placement"))) return;
  server->rejected_reason = "ReplicasUnsupported";
  server->rejected_message =
      "spec.placement.replicas: needs a store with a Worker; in Kubernetes name nodes or select them by labels";
}

SyncedObject SyncedOf(const ObjectKey& key, std::shared_ptr<const Object> object) {
  const ObjectMeta& metadata = object->metadata;
  ShardEntry entry{
      .key = key, .uid = metadata.uid, .generation = metadata.generation, .hash = {}, .placement = nullptr};
  return {.entry = std::move(entry), .object = std::move(object)};
}

}  // namespace

DesiredView::DesiredView(NodePolicy policy, SecretKeeper* secrets)
    : policy_(std::move(policy)), secrets_(secrets), current_(std::make_shared<const DesiredSnapshot>()) {}

bool DesiredView::Update(const AcceptedState& state) {
  MutexLock lock(&update_mu_);
  store_ = state;
  return Renew();
}

bool DesiredView::StoreAnswered() {
  MutexLock lock(&update_mu_);
  if (std::exchange(store_answered_, true)) return false;
  return cluster_ ? Renew() : false;
}

bool DesiredView::UpdateCluster(const kube::ClusterState& state) {
  MutexLock lock(&update_mu_);
  cluster_ = state;
  return Renew();
}

const DesiredView::Decoded& DesiredView::Take(const SyncedObject& synced, std::map<std::string, HeldSecret> secrets,
                                              bool cluster, std::map<ObjectKey, Decoded>* next, bool* changed) {
  Decoded decoded{synced.entry.hash, synced.mismatch, synced.pending, synced.object, std::move(secrets), "", nullptr};
  if (!decoded.secrets.empty() && secrets_ != nullptr) decoded.sealing_key = secrets_->public_key();
  const auto before = decoded_.find(synced.entry.key);
  if (before != decoded_.end() && before->second.hash == decoded.hash && before->second.pending == decoded.pending &&
      before->second.mismatch == decoded.mismatch && before->second.object == decoded.object &&
      before->second.secrets == decoded.secrets && before->second.sealing_key == decoded.sealing_key) {
    decoded.server = before->second.server;
  } else {
    auto server = std::make_shared<DesiredServer>(DecodeDesired(synced, policy_));
    if (cluster) RefuseReplicas(*synced.object, server.get());
    static const SecretKeeper no_keeper("");
    Resolve(secrets_ == nullptr ? no_keeper : *secrets_, decoded.secrets, server.get());
    decoded.server = std::move(server);
    *changed = true;
  }
  return (*next)[synced.entry.key] = std::move(decoded);
}

bool DesiredView::Renew() {
  std::map<ObjectKey, Decoded> next;
  auto snapshot = std::make_shared<DesiredSnapshot>();
  std::set<ServerKey> taken;
  bool changed = false;
  if (secrets_ != nullptr) secrets_->Reload();
  snapshot->removals_allowed = (!uses_store_ || store_.has_value()) && (!cluster_ || cluster_->known);
  if (store_) {
    if (store_->head.has_value()) {
      snapshot->head = ToString(store_->head->order);
      snapshot->snapshot = store_->head->snapshot;
    }
    snapshot->seen_at = store_->seen_at;
    const bool empty = cluster_ && store_answered_ && !store_->head;
    snapshot->removals_allowed = snapshot->removals_allowed && (store_->removals_allowed || empty);
    for (const auto& [key, synced] : store_->objects) {
      if (key.kind != kKindServer) continue;
      const Decoded& decoded = Take(synced, SecretsOf(synced, *store_), false, &next, &changed);
      snapshot->servers[decoded.server->key] = decoded.server;
    }
  }
  if (cluster_) {
    snapshot->seen_at = std::max(snapshot->seen_at, cluster_->changed_at);
    for (const auto& [key, object] : cluster_->objects) {
      if (key.kind != kKindServer) continue;
      if (next.contains(key)) {
        taken.insert({key.namespace_, key.name});
        continue;
      }
      const Decoded& decoded = Take(SyncedOf(key, object), SecretsOf(*object, *cluster_), true, &next, &changed);
      snapshot->servers[decoded.server->key] = decoded.server;
    }
  }
  changed = changed || next.size() != decoded_.size();
  decoded_ = std::move(next);
  MutexLock lock(&mu_);
  changed = changed || snapshot->removals_allowed != current_->removals_allowed || snapshot->head != current_->head;
  current_ = std::move(snapshot);
  taken_ = std::move(taken);
  return changed;
}

std::set<ServerKey> DesiredView::taken() const {
  MutexLock lock(&mu_);
  return taken_;
}

std::shared_ptr<const DesiredSnapshot> DesiredView::Current() const {
  MutexLock lock(&mu_);
  return current_;
}

}  // namespace mcpfleet
