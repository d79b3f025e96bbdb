// Which node runs what: pure functions of the desired state and the list of nodes that are down, so every node comes to
// the same answer without asking another.
//
// A server runs on the nodes that it matches: named in `nodes`, or carrying all labels of `nodeSelector`; with both,
// both must hold; with neither, every node. Without `replicas` it runs on all of them, like a DaemonSet.
//
// With `replicas: N` it runs on the N of them that score highest (rendezvous hashing over the names of server and node)
// among those that are declared by an MCPNode object, schedulable and not down. Scores depend on nothing else, so a
// node that goes takes only its own servers with it, and a node that comes takes only those that are its own. What a
// node that holds a replica does when the answer changes is in replica_holder.h.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "crd/object.h"

namespace mcpfleet {

inline constexpr int64_t kMostReplicas = 1000;

// Whether a node matches `placement`, spec.placement as JSON (null: every node), however many replicas it asks for.
// False on an unschedulable node: it takes nothing new (what it runs already it keeps; the caller knows). A placement
// of a form that this version does not know matches no node.
bool Place(const Json& placement, std::string_view node, const Labels& node_labels, bool unschedulable);

// nullopt: every node that matches.
std::optional<int64_t> ReplicasOf(const Json& placement);

// What placement looks at of an MCPNode.
struct PlacementNode {
  std::string name;
  Labels labels;
  bool unschedulable = false;  // cordoned: takes nothing new
  bool drained = false;        // and keeps nothing
  bool operator==(const PlacementNode&) const = default;
};
PlacementNode PlacementNodeOf(const Object& node);

using DownNodes = std::set<std::string, std::less<>>;

// The declared nodes of a fleet, and where they stand for each server. Immutable, so it may be shared by threads.
class PlacementNodes {
 public:
  PlacementNodes() = default;
  explicit PlacementNodes(std::vector<PlacementNode> nodes);  // of two with one name the first counts

  const PlacementNode* Find(std::string_view name) const;
  // The nodes that run a server with replicas, best first: at most N, fewer when fewer are fit. A placement without
  // replicas: all that match and are schedulable, by name.
  std::vector<std::string> Place(const ObjectKey& server, const Json& placement, const DownNodes& down) const;
  // Whether `node` would be among them if it were up and schedulable, whatever is said of it. False for a node that
  // is not declared, is drained or does not match.
  bool WouldPlace(const ObjectKey& server, const Json& placement, const DownNodes& down, std::string_view node) const;
  bool operator==(const PlacementNodes& other) const { return nodes_ == other.nodes_; }

 private:
  std::vector<PlacementNode> nodes_;  // by name
  std::vector<uint64_t> hashes_;      // of their names
};

}  // namespace mcpfleet
