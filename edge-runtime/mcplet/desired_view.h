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
#include "store/head_sync.h"

namespace mcpfleet {

class DesiredView final : public DesiredState {
 public:
  explicit DesiredView(NodePolicy policy);
  // True when anything about the servers or the removals changed.
  bool Update(const AcceptedState& state) LOCKS_EXCLUDED(mu_);
  std::shared_ptr<const DesiredSnapshot> Current() const override LOCKS_EXCLUDED(mu_);

 private:
  struct Decoded {
    std::string hash, mismatch;
    bool pending = false;
    std::shared_ptr<const Object> object;
    std::shared_ptr<const DesiredServer> server;
  };
  const NodePolicy policy_;
  std::map<ObjectKey, Decoded> decoded_;  // of the thread that updates
  mutable Mutex mu_;
  std::shared_ptr<const DesiredSnapshot> current_ GUARDED_BY(mu_);
};

// One server as this node sees it. Pure.
DesiredServer DecodeDesired(const SyncedObject& synced, const NodePolicy& policy);

}  // namespace mcpfleet
