// From the synced objects to what this node should run: decodes, applies node policy, and names each server's revision.
// Only what changed is decoded again.
//
// Update belongs to the sync thread; Current may be called from any.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "controller/ports/desired_state.h"
#include "edge-runtime/mcplet/policy.h"
#include "edge-runtime/mcplet/secret_keeper.h"
#include "store/head_sync.h"

namespace mcpfleet {

class DesiredView final : public DesiredState {
 public:
  // `secrets` (may be null: none can be opened) outlives it.
  explicit DesiredView(NodePolicy policy, SecretKeeper* secrets = nullptr);
  // True when anything about the servers or the removals changed.
  bool Update(const AcceptedState& state) LOCKS_EXCLUDED(mu_);
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
  const NodePolicy policy_;
  SecretKeeper* const secrets_;
  std::map<ObjectKey, Decoded> decoded_;  // of the thread that updates
  mutable Mutex mu_;
  std::shared_ptr<const DesiredSnapshot> current_ GUARDED_BY(mu_);
};

// One server as this node sees it, but for its secrets. Pure.
DesiredServer DecodeDesired(const SyncedObject& synced, const NodePolicy& policy);

}  // namespace mcpfleet
