#include "cli/stored_logs.h"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

constexpr int kPageLines = 1000;
// Lines of at most 64 KiB each, and what JSON adds.
constexpr size_t kPageBytes = size_t{96} << 20;
// A node whose store is near uploads every ten minutes at least; later chunks are those of a node that was away, and
// are read by another call.
constexpr Duration kWindow = std::chrono::minutes(15);
constexpr size_t kSecondBytes = sizeof "2026-11-28T07:00:00" - 1;

}  // namespace

std::string StoredTarget(const StoredQuery& query, const std::string& cursor) {
  std::string target = "/v1/logs?limit=" + std::to_string(kPageLines) +
                       "&since=" + PercentEncode(FormatTimeMillis(query.since)) +
                       "&namespace=" + PercentEncode(query.namespace_) + "&server=" + PercentEncode(query.server);
  if (!query.node.empty()) target += "&node=" + PercentEncode(query.node);
  if (!cursor.empty()) target += "&cursor=" + PercentEncode(cursor);
  return target;
}

StatusOr<StoredPage> ParseStoredPage(const WorkerAnswer& answer) {
  if (!answer.result.is_array() || !answer.result_info.is_object())
    return Unavailable("the answer is not a page of logs");
  StoredPage page{.cursor = GetString(answer.result_info, "cursor"),
                  .missing = std::max<int64_t>(0, GetInt(answer.result_info, "missing")),
                  .bad = std::max<int64_t>(0, GetInt(answer.result_info, "bad"))};
  page.lines.reserve(answer.result.size());
  for (const Json& row : answer.result) {
    StoredLine line{GetString(row, "time"), GetString(row, "node"), GetString(row, "text")};
    if (line.time.empty() || line.node.empty()) {
      ++page.bad;
      continue;
    }
    // One line is one line, whatever somebody put into it.
    std::replace(line.text.begin(), line.text.end(), '\n', ' ');
    page.lines.push_back(std::move(line));
  }
  return page;
}

StatusOr<StoredPage> ReadStoredPage(WorkerApi& worker, const StoredQuery& query, const std::string& cursor,
                                    Deadline deadline) {
  ASSIGN_OR_RETURN(const WorkerAnswer answer, worker.Get(StoredTarget(query, cursor), deadline, kPageBytes));
  ASSIGN_OR_RETURN(StoredPage page, ParseStoredPage(answer));
  if (!page.cursor.empty() && page.cursor == cursor)
    return Unavailable("the store gives the same page of logs again and again");
  return page;
}

WallTime ShownLines::BeginLook() {
  StatusOr<WallTime> newest = InvalidArgument("none");
  if (newest_.size() >= kSecondBytes) newest = ParseTime(newest_.substr(0, kSecondBytes) + "Z");
  if (newest.ok()) since_ = std::max(since_, *newest - kWindow);
  const std::string oldest = FormatTime(since_).substr(0, kSecondBytes);
  while (!lines_.empty() && std::get<0>(lines_.begin()->first).compare(0, kSecondBytes, oldest) < 0)
    lines_.erase(lines_.begin());
  for (auto& [key, count] : lines_) count.seen = 0;
  return since_;
}

bool ShownLines::Take(const StoredLine& line) {
  Count& count = lines_[{line.time, line.node, std::hash<std::string>()(line.text)}];
  newest_ = std::max(newest_, line.time);
  if (++count.seen <= count.shown) return false;
  ++count.shown;
  return true;
}

}  // namespace mcpfleet::cli
