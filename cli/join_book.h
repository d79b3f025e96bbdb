// The secrets of join tokens that were made here, until their nodes are accepted: one file each, ID.json, in the folder
// `joins` beside the contexts, mode 0600. Only who has the secret can tell whether the keys that the Worker shows are
// the node's.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::cli {

// How long a secret is kept beyond its token: a node that joined in the last minute may be accepted later.
inline constexpr Duration kJoinGrace = std::chrono::hours(24 * 7);

struct BookedJoin {
  std::string id, node, secret;
  std::string server;   // the store's URL
  std::string expires;  // RFC 3339
};

std::string JoinDirectory();
Status BookJoin(const BookedJoin& join);
// Of this node and store, the newest first. A file that others may read, or that is damaged, is an error.
StatusOr<std::vector<BookedJoin>> BookedJoins(const std::string& node, const std::string& server);
// Absent is OK.
Status ForgetJoin(const std::string& id);
// Those of a node and store; those that expired more than kJoinGrace ago, of all. Best effort.
void ForgetJoinsOf(const std::string& node, const std::string& server);
void ForgetOldJoins(WallTime now);

}  // namespace mcpfleet::cli
