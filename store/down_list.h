// The nodes that the store's host takes for down (docs/cloudflare-protocol.md, "Push"). It is not signed: whoever holds
// the store can write anything into it, so it may add or delay replicas and decide nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mcpfleet {

struct DownList {
  int64_t sequence = 0;  // the highest counts
  std::vector<std::string> nodes;
  bool frozen = false;  // too many vanished together: the list stands still. For people
};

}  // namespace mcpfleet
