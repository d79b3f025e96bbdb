// The lease of the node that merges, and the sign of life of every node: a Lease each, renewed while mcplet runs, so
// that the merging node can tell a silent node from a slow one, and one that is gone (node_life.h) from both.
//
// One thread of the caller's; every call may block for the timeout of its requests.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "store/kubernetes/lease.h"
#include "store/kubernetes/node_life.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

inline constexpr char kMergeLease[] = "mcpfleet-merge";
inline constexpr char kNodeLabel[] = "mcpfleet.dev/node";
// Of a node's Lease: the core/v1 Node that it has seen itself on.
inline constexpr char kCoreNodeAnnotation[] = "mcpfleet.dev/core-node";

struct ElectorOptions {
  std::string node;
  // The name of the core/v1 Node of this machine once that was seen; "" before, and where there is none.
  std::function<std::string()> core_node = [] { return std::string(); };
  Duration length = std::chrono::seconds(45);
  Duration life_interval = std::chrono::seconds(60);  // between two signs of life
  LifeLimits life;
  Duration timeout = std::chrono::seconds(10);
};

class Elector {
 public:
  Elector(RestClient& rest, const Clock& clock, uint64_t seed, ElectorOptions options);
  // Whatever is due; errors are for the log.
  Status Step();
  MonoTime due() const { return std::min(lease_due_, std::min(life_due_, Held() ? nodes_due_ : MonoTime::max())); }
  bool Held() const { return rules_.Held(clock_.Now()); }
  // The node has given no sign of life for some minutes, as far as this node has looked that long.
  bool IsSilent(const std::string& node) const;
  // And nothing says that it will come back. Never of this node itself.
  bool IsGone(const std::string& node) const;
  // Those of them that have a Lease.
  std::set<std::string> GoneNodes() const;
  // Removes the Lease of one that is gone, unless it was renewed meanwhile.
  Status Forget(const std::string& node);

 private:
  Status Contend();
  Status ShowLife();
  Status LookAtNodes();
  Status LookAtCoreNodes();
  LifeSigns SignsOf(const std::string& node) const;
  Duration Jittered(Duration about);
  RestClient& rest_;
  const Clock& clock_;
  const ElectorOptions options_;
  std::mt19937_64 rng_;
  LeaseRules rules_;
  const std::string collection_;
  MonoTime lease_due_{}, life_due_{}, nodes_due_{};
  struct Seen {
    std::string version, core_node;
    WallTime renewed{};  // as the Lease says
    MonoTime at{};       // when this version was seen first
    MonoTime asked_at{};
    CoreNode core = CoreNode::kNotAsked;
  };
  std::map<std::string, Seen> nodes_;  // of their leases
  // When a node was forgotten: one that shows up again is waited for anew, and not forgotten with its next entry.
  std::map<std::string, MonoTime> forgotten_;
  MonoTime looks_since_ = MonoTime::max();
  std::string core_node_;  // of this node, once it was seen: a Node that is deleted is named on
};

}  // namespace mcpfleet::kube
