#include "edge-runtime/logship/live_lines.h"

#include <algorithm>
#include <utility>

#include "edge-runtime/logship/line_format.h"

namespace mcpfleet::logship {
namespace {
// Of one batch: well below what one message may have.
constexpr size_t kBatchBytes = size_t{64} << 10;
}  // namespace

void LiveLines::SetFollowed(std::vector<ServerKey> servers) {
  MutexLock lock(&mu_);
  followed_ = {servers.begin(), servers.end()};
  any_ = !followed_.empty();
}

bool LiveLines::IsFollowed(const ServerKey& server) const {
  MutexLock lock(&mu_);
  return followed_.contains(server);
}

bool LiveLines::Send(const ServerKey& server, std::vector<LiveLine> lines, size_t bytes, MonoTime now) {
  const int64_t count = static_cast<int64_t>(lines.size());
  int64_t& left_out = left_out_[server];
  if (left_out > 0) {
    lines.insert(lines.begin(), {lines.front().time, "mcpfleet: " + std::to_string(left_out) +
                                                         " lines are left out here; the stored log has them"});
  }
  if (throttle_.Take(static_cast<double>(bytes), now) == Duration::zero() && sink_(server, lines)) {
    left_out = 0;
    return true;
  }
  left_out += count;
  return false;
}

void LiveLines::Take(const ServerKey& server, std::string_view lines, MonoTime now) {
  if (!any() || !sink_ || !IsFollowed(server)) return;
  LineTimes times;
  std::vector<LiveLine> batch;
  size_t bytes = 0;
  for (size_t newline; (newline = lines.find('\n')) != std::string_view::npos; lines.remove_prefix(newline + 1)) {
    const std::string_view line = lines.substr(0, newline);
    int64_t at = 0;
    const size_t length = times.Read(line, &at);
    if (length == 0) continue;  // damage; the chunk has it
    const std::string_view text = line.substr(std::min(line.size(), length + 1));
    if (batch.size() + 1 == kLiveLines || (!batch.empty() && bytes + text.size() > kBatchBytes)) {
      Send(server, std::exchange(batch, {}), std::exchange(bytes, 0), now);
    }
    batch.push_back({std::string(line.substr(0, length)), std::string(text)});
    bytes += line.size();
  }
  if (!batch.empty()) Send(server, std::move(batch), bytes, now);
}

}  // namespace mcpfleet::logship
