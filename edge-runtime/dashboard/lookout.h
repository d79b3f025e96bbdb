// Looks at what the nodes of this store say, whether or not a page is open, and keeps the record of it: who is up since
// when, and what is wrong.
//
// Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "edge-runtime/dashboard/alerts.h"
#include "edge-runtime/dashboard/chronicle.h"

namespace mcpfleet::dashboard {

class Lookout {
 public:
  // `boot`: of the machine (/proc/sys/kernel/random/boot_id).
  Lookout(Chronicle& chronicle, std::string boot) : chronicle_(chronicle), boot_(std::move(boot)) {}
  // All nodes there are, this one among them, as they are now. What has to be told of alerts.
  std::vector<Notice> Look(const std::vector<SeenNode>& nodes, WallTime now);

 private:
  Chronicle& chronicle_;
  const std::string boot_;
  bool begun_ = false;
};

}  // namespace mcpfleet::dashboard
