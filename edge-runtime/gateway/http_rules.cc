#include "edge-runtime/gateway/http_rules.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxBatch = 100;
constexpr Duration kLongestPause = std::chrono::seconds(30);
constexpr Duration kShortestPause = std::chrono::milliseconds(10);

}  // namespace

std::string MediaTypeOf(const http::Response& head) {
  const std::string type = head.headers.Get("Content-Type").value_or("");
  return ToLower(Trim(std::string_view(type).substr(0, type.find(';'))));
}

bool IsEchoable(std::string_view text, size_t limit) {
  return !text.empty() && text.size() <= limit &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

std::string DescribeHttpStatus(int status) {
  std::string text = "the upstream server answered HTTP " + std::to_string(status);
  if (status == 401 || status == 403) return text + ": credentials are missing or not accepted";
  if (status >= 300 && status < 400) return text + ": redirects are not followed";
  if (status / 100 == 2) return text + " without an answer to the request";
  return text;
}

std::string DescribeFailure(const Status& status) {
  if (status.ok()) return "the upstream server closed the connection before the answer was complete";
  switch (status.code()) {
    case StatusCode::kUnavailable:
      return "the upstream server can't be reached, or broke the connection";
    case StatusCode::kDeadlineExceeded:
      return "the upstream server did not answer in time";
    case StatusCode::kUnauthenticated:
      return "the certificate of the upstream server is not accepted";
    case StatusCode::kResourceExhausted:
      return "the answer of the upstream server is too large, or this node has no descriptor left";
    default:
      return "the upstream server does not speak HTTP as expected";
  }
}

Duration PauseBefore(int attempt, int64_t retry_millis, Duration first) {
  const Duration asked =
      std::min<Duration>(std::chrono::milliseconds(std::min<int64_t>(retry_millis, 3'600'000)), kLongestPause);
  Duration pause = retry_millis < 0 ? first : std::max(asked, kShortestPause);
  for (int i = 1; i < attempt && pause < kLongestPause; ++i) pause *= 2;
  return std::min(pause, kLongestPause);
}

std::vector<std::string> MessagesIn(std::string text) {
  std::vector<std::string> messages;
  if (!mcp::IsBatch(text)) {
    messages.push_back(mcp::OneLine(std::move(text)));
    return messages;
  }
  const StatusOr<std::vector<std::string_view>> parts = mcp::SplitBatch(text, kMaxBatch);
  if (!parts.ok()) return messages;
  for (const std::string_view part : *parts) messages.push_back(mcp::OneLine(std::string(part)));
  return messages;
}

}  // namespace mcpfleet::gateway
