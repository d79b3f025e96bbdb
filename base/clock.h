// Time as an argument. Decisions take `now` or a `const Clock&`; only programs make a SystemClock, and tests a
// FakeClock that moves when told to.
//
// Intervals, deadlines and back-off use MonoTime, which no clock change moves; WallTime is for people and for
// timestamps in objects.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Milliseconds since 1970.
inline int64_t ToMillis(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime Now() const = 0;
  virtual WallTime Wall() const = 0;
};

// The kernel's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  MonoTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime Wall() const override { return std::chrono::system_clock::now(); }
};

// Stands still until Advance. Thread-safe.
class FakeClock final : public Clock {
 public:
  MonoTime Now() const override { return MonoTime(Duration(mono_.load())); }
  WallTime Wall() const override { return WallTime(Duration(wall_.load())); }
  void Advance(Duration by) {
    mono_ += by.count();
    wall_ += by.count();
  }
  void SetWall(WallTime to) { wall_ = to.time_since_epoch().count(); }

 private:
  std::atomic<int64_t> mono_{int64_t{1000} * 1'000'000'000};
  std::atomic<int64_t> wall_{int64_t{1'790'000'000} * 1'000'000'000};
};

// The instant by which a blocking call must return. Real steady time: it bounds waits in the kernel.
class Deadline {
 public:
  static Deadline After(Duration d);  // Never when `d` is too large to add
  static Deadline Never() { return Deadline(MonoTime::max()); }
  explicit Deadline(MonoTime at) : at_(at) {}
  MonoTime at() const { return at_; }
  bool Expired() const { return at_ <= std::chrono::steady_clock::now(); }
  // Time left, never negative.
  Duration Left() const;
  // For poll(2): milliseconds left rounded up, -1 when the deadline never comes.
  int PollMillis() const;
  // The earlier of this and `d` from now.
  Deadline AtMost(Duration d) const;

 private:
  MonoTime at_;
};

// "2026-11-22T15:04:05Z" (RFC 3339, UTC, whole seconds as metav1.Time). Years that nanoseconds in 64 bits can't tell
// are no time.
std::string FormatTime(WallTime time);
// The same with milliseconds, which is what the Worker keeps of the times of log lines.
std::string FormatTimeMillis(WallTime time);
StatusOr<WallTime> ParseTime(std::string_view text);
// "1h30m", "250ms", "5m": Go's duration syntax, not negative.
std::string FormatDuration(Duration duration);
StatusOr<Duration> ParseDuration(std::string_view text);
// "5s", "3m20s", "4h", "2d": kubectl's AGE column.
std::string FormatAge(Duration age);

}  // namespace mcpfleet
