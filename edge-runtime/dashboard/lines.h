// Lines of logs of this node's servers, as GET /v1/logs of the Worker gives them. Other nodes' are not here: an
// embedded store takes no logs.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/http/message.h"
#include "base/json.h"
#include "base/status.h"
#include "edge-runtime/dashboard/host.h"

namespace mcpfleet::dashboard {

struct LinesQuery {
  std::optional<WallTime> since;
  std::string until;  // RFC 3339, "": now
  std::string node, namespace_, server, contains;
  size_t limit = 200;
  // Where the page before ended: the time of its last line, and how many lines of that time were given.
  std::string after;
  size_t given = 0;
};

// Of the query of a request. InvalidArgument names the parameter.
StatusOr<LinesQuery> ParseLinesQuery(const http::Request& request);
// One line of a log. False: it has no time.
bool SplitLine(std::string_view line, std::string* time, std::string* text);
// Rows in the order of time, 4 MiB at most; `*cursor` is "" at the end. A server whose log can't be read to its end
// counts in `*missing`. Blocks.
StatusOr<Json> ReadLines(const Host& host, const LinesQuery& query, std::string* cursor, int64_t* missing,
                         Deadline deadline);

}  // namespace mcpfleet::dashboard
