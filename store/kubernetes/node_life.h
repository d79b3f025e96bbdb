// Whether a node is still to be waited for. A node shows that it lives by renewing its Lease; one that has not for some
// minutes is silent, and what it reported is Unknown. It is gone, so that its entries and its Lease are given up in its
// stead, when nothing says that it will come back:
//
//   - it ran on a Node of the cluster, and there is no such Node any more; or
//   - it ran on none (a machine outside of the cluster), or Nodes may not be read, and its Lease was not renewed for a
//     day.
//
// A Node that is there keeps what its mcplet reported, however long that is silent: its servers may still run. Pure.
#pragma once

#include <optional>

#include "base/clock.h"

namespace mcpfleet::kube {

// What the API server says of the core/v1 Node that a silent node ran on.
enum class CoreNode { kNotAsked, kThere, kAbsent, kForbidden };

struct LifeSigns {
  Duration silent_for{};              // since the last sign, as the node that judges has seen it on its own clock
  std::optional<Duration> lease_age;  // since its Lease says that it was renewed; nullopt: there is no Lease
  bool on_core_node = false;          // its Lease names a Node that it had seen
  CoreNode core_node = CoreNode::kNotAsked;
};

struct LifeLimits {
  Duration silent_after = std::chrono::minutes(5);
  Duration gone_after = std::chrono::hours(24);
};

inline bool IsSilent(const LifeSigns& signs, const LifeLimits& limits) {
  return signs.silent_for >= limits.silent_after;
}
bool IsGone(const LifeSigns& signs, const LifeLimits& limits);

}  // namespace mcpfleet::kube
