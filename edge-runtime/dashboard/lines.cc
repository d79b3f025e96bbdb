#include "edge-runtime/dashboard/lines.h"

#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "edge-runtime/dashboard/line_page.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMostLines = 1000;
constexpr size_t kLineBytes = 65536;
constexpr size_t kContainsBytes = 256;
// Of one page as JSON: sixty of the longest lines, and thousands of common ones.
constexpr size_t kPageBytes = size_t{4} << 20;

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

bool IsWanted(const PageLine& line, const LinesQuery& query) {
  return (query.until.empty() || line.time < query.until) &&
         (query.contains.empty() || line.text.find(query.contains) != std::string::npos);
}

// False: not all of its log could be read.
bool ReadServer(const Host& host, const LinesQuery& query, const ServerKey& server, LinePage* page, Deadline deadline) {
  const auto take = [&](std::string_view text) {
    PageLine line{.time = "", .text = "", .server = &server};
    if (!SplitLine(text, &line.time, &line.text) || !IsWanted(line, query)) return true;
    return page->Add(std::move(line));
  };
  const std::optional<WallTime> since = query.after.empty() ? query.since : SecondOf(query.after);
  bool whole = true;
  for (const bool previous : {true, false})
    whole &= host.logs(server, {.since = since, .previous = previous}, take, deadline).ok();
  return whole;
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
  LinePage page({.lines = query.limit, .bytes = kPageBytes}, query.after, query.given);
  for (const ServerStatus& server : status.servers) {
    if (!query.namespace_.empty() && server.key.namespace_ != query.namespace_) continue;
    if (!query.server.empty() && server.key.name != query.server) continue;
    const bool whole = ReadServer(host, query, server.key, &page, deadline);
    if (!whole && !server.instances.empty()) ++*missing;
  }
  Json rows = Json::array();
  for (PageLine& line : page.Finish(cursor)) {
    rows.push_back({{"time", std::move(line.time)},
                    {"node", status.node},
                    {"namespace", line.server->namespace_},
                    {"server", line.server->name},
                    {"stream", "stderr"},
                    {"text", std::move(line.text)}});
  }
  return rows;
}

}  // namespace mcpfleet::dashboard
