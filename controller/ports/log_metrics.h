// What log shipping counts. Implementations are thread-safe and must not block.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace mcpfleet {

// Why lines never reach the store: the words that the metric has as labels.
//   rotated   their local file went away before it was read
//   spool     the spool was full, the oldest went
//   refused   the store will never take their chunk
//   conflict  the store has other bytes under the chunk's name
//   damaged   their chunk in the spool can't be read any more
inline constexpr std::string_view kLogLossReasons[] = {"rotated", "spool", "refused", "conflict", "damaged"};

class LogMetrics {
 public:
  virtual ~LogMetrics() = default;
  virtual void LogChunkShipped(int64_t lines, int64_t bytes) = 0;
  // One of kLogLossReasons.
  virtual void LogLinesLost(std::string_view reason, int64_t lines) = 0;
  // An upload that will be tried again.
  virtual void LogUploadFailed() = 0;
  // What waits, and how old the oldest line is that the store has not acknowledged; zero when there is none.
  virtual void LogSpool(int64_t chunks, int64_t bytes, Duration lag) = 0;
};

}  // namespace mcpfleet
