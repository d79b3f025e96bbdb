// The feed of the page: what is now, then each change of it (cloud/worker/src/fleet/feed.ts). There is no log of
// changes: each node has the number of its last change, so "what changed since" is a look at the present, and a page
// that was away costs the nodes that changed.
//
// Not thread-safe; without clock or socket.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::dashboard {

struct FeedRow {
  Json node;                  // FeedNode
  std::vector<Json> servers;  // ServerSummary
};

class Feed {
 public:
  // `boot` names this feed: a cursor of another one is worth nothing.
  explicit Feed(std::string boot) : boot_(std::move(boot)) {}
  // All nodes that there are now, by name. The deltas that make of what was known what is, one for each node that
  // changed. A node of which only `lastSeen` is another did not.
  std::vector<Json> Update(std::map<std::string, FeedRow> rows);
  // The answer to a client that says it saw `since` last, in as many messages as it takes.
  std::vector<Json> State(std::string_view since) const;

 private:
  struct Kept {
    FeedRow row;
    int64_t at = 0;  // the number of its last change
  };
  std::string Cursor(int64_t at) const { return boot_ + "." + std::to_string(at); }

  const std::string boot_;
  int64_t last_ = 0;
  std::map<std::string, Kept> nodes_;
};

}  // namespace mcpfleet::dashboard
