#include "edge-runtime/log/seam_filter.h"

#include "base/status.h"

namespace mcpfleet {

bool SeamFilter::Take(std::string_view line) {
  std::string_view time = line.substr(0, line.find(' '));
  if (at_seam_ && time < last_time_) return false;
  if (at_seam_ && time == last_time_ && skip_ > 0) {
    --skip_;
    return false;
  }
  at_seam_ = false;
  seen_at_last_ = time == last_time_ ? seen_at_last_ + 1 : 1;
  last_time_ = time;
  return true;
}

std::optional<WallTime> SeamFilter::last_time() const {
  if (last_time_.size() < 20) return std::nullopt;
  StatusOr<WallTime> time = ParseTime(last_time_.substr(0, 19) + "Z");
  if (!time.ok()) return std::nullopt;
  return *time;
}

}  // namespace mcpfleet
