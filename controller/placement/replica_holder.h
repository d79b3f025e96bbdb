// What one node does with servers that have replicas, as the answer of Place changes under it. Nodes never read each
// other's status, so nobody can know that another node's replica is Ready; these rules keep N running all the same:
//
//   takes      what Place gives it, at once, while it is informed (below), schedulable and not on the list of nodes
//   that
//              are down.
//   keeps      what it holds for as long as Place would give it to it if it were up and schedulable. So a node that is
//              cut off from the store's host and back before the list forgets it stops nothing; and a cordoned node
//              keeps what is its own, while the next in line takes it too: until it is uncordoned or drained one more
//              may run.
//   hands over what it holds and Place gives to others: it goes on for kHandOver, so that they can start first, and
//              then stops. Also when the node is drained.
//   drops      at once what is gone from the desired state or does not match the node any more (the caller leaves it
//              out).
//
// Informed: connected to the store's host, with a list from this connection and every MCPNode looked at. A node that is
// not keeps what it holds, takes nothing and hands nothing over (unless it is drained), whatever it hears of new heads
// meanwhile. After a reboot that is so until it is connected: what it held is on disk with the accepted state, so the
// list need not be.
//
// A list that lies can thus make more replicas run, or let one that is lost wait; it never stops one on a node that
// Place chooses with everybody up, and touches nothing that has no replicas.
//
// One thread. Time is an argument.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "controller/placement/place.h"

namespace mcpfleet {

// Longer than a start takes as a rule: an artifact that is there, the handshake, all tools.
inline constexpr Duration kHandOver = std::chrono::seconds(60);

class ReplicaHolder {
 public:
  struct Server {
    const ObjectKey* key = nullptr;
    const Json* placement = nullptr;  // with replicas; this node matches it
    bool held = false;                // this node runs it, or was to run it last
  };
  struct Sight {
    const PlacementNodes& nodes;
    const DownNodes& down;
    bool informed = false;
  };

  explicit ReplicaHolder(std::string node) : node_(std::move(node)) {}

  // Which of all these servers the node runs now.
  std::set<ObjectKey> Decide(const std::vector<Server>& servers, const Sight& sight, MonoTime now);
  // When a hand-over ends and Decide says something else; max(): none is under way.
  MonoTime next_due() const { return next_due_; }

 private:
  const std::string node_;
  std::map<ObjectKey, MonoTime> leaves_at_;  // what is handed over
  MonoTime next_due_ = MonoTime::max();
};

}  // namespace mcpfleet
