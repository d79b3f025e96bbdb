#include "controller/placement/replica_holder.h"

#include <algorithm>
#include <utility>

namespace mcpfleet {

std::set<ObjectKey> ReplicaHolder::Decide(const std::vector<Server>& servers, const Sight& sight, MonoTime now) {
  const PlacementNode* self = sight.nodes.Find(node_);
  const bool drained = self != nullptr && self->drained;
  const bool takes =
      sight.informed && self != nullptr && !self->unschedulable && !drained && !sight.down.contains(node_);
  std::set<ObjectKey> runs;
  std::map<ObjectKey, MonoTime> leaves_at;
  next_due_ = MonoTime::max();
  for (const Server& server : servers) {
    if (!server.held && !takes) continue;
    // Who is not informed hands nothing over; a hand-over that was under way begins anew. A drain is the operator's
    // word, not the list's: it holds for all.
    if ((!sight.informed && !drained) || sight.nodes.WouldPlace(*server.key, *server.placement, sight.down, node_)) {
      runs.insert(*server.key);
      continue;
    }
    if (!server.held) continue;
    auto leaving = leaves_at_.find(*server.key);
    const MonoTime end = leaving == leaves_at_.end() ? now + kHandOver : leaving->second;
    leaves_at[*server.key] = end;
    if (now >= end) continue;
    runs.insert(*server.key);
    next_due_ = std::min(next_due_, end);
  }
  leaves_at_ = std::move(leaves_at);
  return runs;
}

}  // namespace mcpfleet
