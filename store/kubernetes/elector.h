// The lease of the node that merges, and the sign of life of every node: a Lease each, renewed while mcplet runs, so
// that the merging node can tell a silent node from a slow one.
//
// One thread of the caller's; every call may block for the timeout of its requests.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "store/kubernetes/lease.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

inline constexpr char kMergeLease[] = "mcpfleet-merge";
inline constexpr char kNodeLabel[] = "mcpfleet.dev/node";

struct ElectorOptions {
  std::string node;
  Duration length = std::chrono::seconds(45);
  Duration life_interval = std::chrono::seconds(60);  // between two signs of life
  Duration silent_after = std::chrono::minutes(5);
  Duration timeout = std::chrono::seconds(10);
};

class Elector {
 public:
  Elector(RestClient& rest, const Clock& clock, uint64_t seed, ElectorOptions options);
  // Whatever is due; errors are for the log.
  Status Step();
  MonoTime due() const { return std::min(lease_due_, std::min(life_due_, Held() ? nodes_due_ : MonoTime::max())); }
  bool Held() const { return rules_.Held(clock_.Now()); }
  // The node has given no sign of life for `silent_after`, as far as this node has looked that long.
  bool IsSilent(const std::string& node) const;

 private:
  Status Contend();
  Status ShowLife();
  Status LookAtNodes();
  Duration Jittered(Duration about);
  RestClient& rest_;
  const Clock& clock_;
  const ElectorOptions options_;
  std::mt19937_64 rng_;
  LeaseRules rules_;
  const std::string collection_;
  MonoTime lease_due_{}, life_due_{}, nodes_due_{};
  struct Seen {
    std::string version;
    MonoTime at{};
  };
  std::map<std::string, Seen> nodes_;  // of their leases
  MonoTime looks_since_ = MonoTime::max();
};

}  // namespace mcpfleet::kube
