// The nodes that the store's host takes for down (docs/cloudflare-protocol.md, "Push"). It is not signed: whoever holds
// the store can write anything into it, so it may add or delay replicas and decide nothing else
// (controller/placement/replica_holder.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "controller/placement/place.h"

namespace mcpfleet {

struct DownList {
  int64_t sequence = 0;  // the highest counts
  std::vector<std::string> nodes;
  bool frozen = false;  // too many vanished together: the list stands still. For people
};

// The most that a list may name; a node reads nothing of a longer one.
inline constexpr size_t kDownListNodes = 16'384;

// Of a `hello`, a `down` or GET /v1/down. InvalidArgument: it is not formed so, which says where.
StatusOr<DownList> ParseDownList(const Json& json);

// What a node knows of the list. It is of one connection to the store's host: after a break the first list counts
// whatever its sequence is, since the host may have been put back or replaced; within one only a higher sequence does.
// Nothing of it is written to disk: a node that is not connected keeps what it runs and decides nothing by it.
// Not thread-safe.
class DownNews {
 public:
  // False: nothing changed, which is so for a list that is not newer.
  bool SetDown(const DownList& list);
  bool SetConnected(bool connected);

  bool informed() const { return connected_ && fresh_; }
  const DownNodes& nodes() const { return nodes_; }

 private:
  bool connected_ = false;
  bool fresh_ = false;  // a list came since the last break
  int64_t sequence_ = 0;
  DownNodes nodes_;
};

}  // namespace mcpfleet
