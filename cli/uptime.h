// What `mcpctl uptime` is asked for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet::cli {

// Subjects as the Worker has them: "node/<node>", "server/<node>/<namespace>/<name>", a prefix ending in "/".
struct UptimeQuery {
  std::vector<std::string> subjects;
  ServerKey server;  // only this one, of the prefix's; without a name: all
  bool Matches(std::string_view subject) const;
};
// "" (everything), "edge-01" or "node/edge-01", "mcp/weather" (on every node), "server/…" as it is.
StatusOr<UptimeQuery> ParseUptimeSubject(const std::string& text, const std::string& default_namespace);

// "99.95%"; never 100 % where anything is missing, "-" when nothing is known.
std::string PercentUp(int64_t up_seconds, int64_t known_seconds);

}  // namespace mcpfleet::cli
