// The decisions of log shipping. Pure.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::logship {

// --- when a chunk is sealed ---

struct ChunkAge {
  bool empty = true;
  MonoTime begun{};  // when its first line came
  MonoTime last_sealed{};
  MonoTime urgent{};      // when a server ended, of which there may be lines in it; MonoTime{}: none did
  bool followed = false;  // somebody looks at logs of this node now
  int64_t waiting = 0;    // chunks in the spool
};

// After a server's end its last words may still be on their way; a crash loop makes no flood of chunks.
inline constexpr Duration kLastWords = std::chrono::seconds(1), kUrgentPause = std::chrono::seconds(2);
inline constexpr Duration kFollowedAge = std::chrono::seconds(5);
// With so many waiting the store does not keep up, or is away: a small chunk would be read no sooner.
inline constexpr int64_t kBusySpool = 8;

// When the chunk must be sealed although there is room in it; MonoTime::max() while it is empty.
MonoTime SealAt(const ChunkAge& age, Duration interval);

// --- what an upload's answer means ---

enum class PutOutcome {
  kTaken,     // by now or before
  kConflict,  // other bytes are there under its name
  kRefused,   // it will never be taken
  kLater,
};
PutOutcome Judge(const Status& put);

// Before attempt `failures` + 1: 1 s, 2 s … 5 min, less up to a half by `chance` (0 … 1), and no less than the store
// asked for.
Duration RetryDelay(int failures, Duration retry_after, double chance);

// --- how fast uploads are ---

// A little below what a Worker takes of one node (logBytesPerMinute, 4 MiB a second): some 20 MB/s of lines, packed,
// and a week's logs go out no faster than that either.
inline constexpr double kBytesPerSecond = 3.75 * 1024 * 1024;
inline constexpr double kBurstBytes = 4 * 1024 * 1024;

class Throttle {
 public:
  Throttle(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}
  // How long to wait before `amount` may go; zero takes it.
  Duration Take(double amount, MonoTime now);

 private:
  const double per_second_, burst_;
  double tokens_;
  MonoTime last_{};
};

// --- how often logs are looked at ---

// Seldom while nothing comes, often in a flood: local files hold some seconds of one.
inline constexpr Duration kLeastPause = std::chrono::milliseconds(100), kMostPause = std::chrono::seconds(1);
Duration NextPause(Duration before, int64_t bytes_read);

}  // namespace mcpfleet::logship
