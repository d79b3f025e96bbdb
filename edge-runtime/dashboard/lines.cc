#include "edge-runtime/dashboard/lines.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMostLines = 1000;
constexpr size_t kLineBytes = 65536;
constexpr size_t kContainsBytes = 256;

struct Line {
  std::string time, text;
  const ServerKey* server;
};

std::optional<size_t> Number(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Whole seconds: what an engine takes as `since`.
std::optional<WallTime> SecondOf(const std::string& time) {
  if (time.size() < 20) return std::nullopt;
  const StatusOr<WallTime> second = ParseTime(time.substr(0, 19) + "Z");
  return second.ok() ? std::optional<WallTime>(*second) : std::nullopt;
}

}  // namespace

bool SplitLine(std::string_view line, std::string* time, std::string* text) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space < 20) return false;
  *time = line.substr(0, space);
  line.remove_prefix(space + 1);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  *text = line.substr(0, kLineBytes);
  return true;
}

StatusOr<LinesQuery> ParseLinesQuery(const http::Request& request) {
  LinesQuery query{.until = request.Query("until").value_or(""),
                   .node = request.Query("node").value_or(""),
                   .namespace_ = request.Query("namespace").value_or(""),
                   .server = request.Query("server").value_or(""),
                   .contains = request.Query("contains").value_or("")};
  if (query.contains.size() > kContainsBytes) return InvalidArgument("contains: is longer than 256 bytes");
  if (const auto since = request.Query("since")) {
    const StatusOr<WallTime> time = ParseTime(*since);
    if (!time.ok()) return Annotate(time.status(), "since");
    query.since = *time;
  }
  if (const auto limit = request.Query("limit")) {
    const std::optional<size_t> number = Number(*limit);
    if (!number || *number == 0 || *number > kMostLines) return InvalidArgument("limit: allowed are 1 to 1000");
    query.limit = *number;
  }
  const std::string cursor = request.Query("cursor").value_or("");
  if (cursor.empty()) return query;
  const size_t bar = cursor.find('|');
  const std::optional<size_t> given =
      bar == std::string::npos ? std::nullopt : Number(std::string_view(cursor).substr(bar + 1));
  query.after = cursor.substr(0, bar);
  if (!given || *given > 100 * kMostLines || !SecondOf(query.after))
    return InvalidArgument("cursor: is not one of ours");
  query.given = *given;
  return query;
}

StatusOr<Json> ReadLines(const Host& host, const LinesQuery& query, std::string* cursor, int64_t* missing,
                         Deadline deadline) {
  const NodeStatus status = host.status();
  *cursor = "";
  *missing = 0;
  if (!query.node.empty() && query.node != status.node) return Json(Json::array());
  std::optional<WallTime> since = query.since;
  if (!query.after.empty()) since = SecondOf(query.after);
  const size_t enough = query.given + query.limit + 1;
  std::vector<Line> lines;
  for (const ServerStatus& server : status.servers) {
    if (!query.namespace_.empty() && server.key.namespace_ != query.namespace_) continue;
    if (!query.server.empty() && server.key.name != query.server) continue;
    size_t taken = 0;
    const auto take = [&](std::string_view text) {
      Line line{.server = &server.key};
      if (!SplitLine(text, &line.time, &line.text)) return true;
      if (line.time < query.after || (!query.until.empty() && line.time >= query.until)) return true;
      if (!query.contains.empty() && line.text.find(query.contains) == std::string::npos) return true;
      lines.push_back(std::move(line));
      return ++taken < enough;
    };
    bool read = false;
    for (const bool previous : {true, false}) {
      if (taken >= enough) break;
      const Status of = host.logs(server.key, {.since = since, .previous = previous}, take, deadline);
      read = read || of.ok();
    }
    if (!read && !server.instances.empty()) ++*missing;
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.time < b.time; });
  // What the page before gave of the second that this one begins in.
  size_t skip = 0;
  while (skip < lines.size() && skip < query.given && lines[skip].time == query.after) ++skip;
  Json rows = Json::array();
  size_t at = skip;
  for (; at < lines.size() && rows.size() < query.limit; ++at) {
    const Line& line = lines[at];
    rows.push_back({{"time", line.time},
                    {"node", status.node},
                    {"namespace", line.server->namespace_},
                    {"server", line.server->name},
                    {"stream", "stderr"},
                    {"text", line.text}});
  }
  if (at < lines.size()) {
    const std::string& last = lines[at - 1].time;
    const auto same = std::count_if(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(at),
                                    [&](const Line& line) { return line.time == last; });
    *cursor = last + "|" + std::to_string(same);
  }
  return rows;
}

}  // namespace mcpfleet::dashboard
