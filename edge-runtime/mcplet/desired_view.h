// From the synced objects to what this node should run: decodes, applies node policy, and names each server's revision.
// Only what changed is decoded again.
//
// The objects come from the store, from Kubernetes or from both. A name belongs to the store when both have it: what
// the fleet has signed is not replaced by whoever may create an object in a cluster, and the answer is the same
// whichever was heard first. The other one is `taken`, which its source tells in its status; it takes over when the
// store's goes.
//
// Update and UpdateCluster may be called from any thread, one waits for the other; Current from any.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/mutex.h"
#include "controller/ports/desired_state.h"
#include "edge-runtime/mcplet/policy.h"
#include "edge-runtime/mcplet/secret_keeper.h"
#include "store/head_sync.h"
#include "store/kubernetes/cluster_state.h"

namespace mcpfleet {

class DesiredView final : public DesiredState {
 public:
  // `secrets` (may be null: none can be opened) outlives it.
  explicit DesiredView(NodePolicy policy, SecretKeeper* secrets = nullptr);
  // True when anything about the servers or the removals changed. Without a store or without Kubernetes the other one
  // is never called, and `uses_store` false tells that no store is waited for.
  bool Update(const AcceptedState& state) LOCKS_EXCLUDED(update_mu_, mu_);
  bool UpdateCluster(const kube::ClusterState& state) LOCKS_EXCLUDED(update_mu_, mu_);
  void UseStore(bool uses) { uses_store_ = uses; }
  // The store was read: that it has no head means that nothing was ever applied to it, and what Kubernetes removes need
  // not wait for more of it. True as for Update.
  bool StoreAnswered() LOCKS_EXCLUDED(update_mu_, mu_);
  // The servers of Kubernetes whose names the store has.
  std::set<ServerKey> taken() const LOCKS_EXCLUDED(mu_);
  std::shared_ptr<const DesiredSnapshot> Current() const override LOCKS_EXCLUDED(mu_);

 private:
  struct Decoded {
    std::string hash, mismatch;
    bool pending = false;
    std::shared_ptr<const Object> object;
    std::map<std::string, HeldSecret> secrets;  // that it refers to
    std::string sealing_key;                    // that they were opened with
    std::shared_ptr<const DesiredServer> server;
  };
  bool Renew() EXCLUSIVE_LOCKS_REQUIRED(update_mu_) LOCKS_EXCLUDED(mu_);
  // One server of either source, decoded if it is another one than before.
  const Decoded& Take(const SyncedObject& synced, std::map<std::string, HeldSecret> secrets, bool cluster,
                      std::map<ObjectKey, Decoded>* next, bool* changed) EXCLUSIVE_LOCKS_REQUIRED(update_mu_);

  const NodePolicy policy_;
  SecretKeeper* const secrets_;
  bool uses_store_ = true;  // before the first update
  Mutex update_mu_;         // held over the decoding: one update at a time
  bool store_answered_ GUARDED_BY(update_mu_) = false;
  std::optional<AcceptedState> store_ GUARDED_BY(update_mu_);
  std::optional<kube::ClusterState> cluster_ GUARDED_BY(update_mu_);
  std::map<ObjectKey, Decoded> decoded_ GUARDED_BY(update_mu_);
  mutable Mutex mu_;
  std::set<ServerKey> taken_ GUARDED_BY(mu_);
  std::shared_ptr<const DesiredSnapshot> current_ GUARDED_BY(mu_);
};

// One server as this node sees it, but for its secrets. Pure.
DesiredServer DecodeDesired(const SyncedObject& synced, const NodePolicy& policy);

}  // namespace mcpfleet
