// What a server uses over time, as samples: made of counters that only grow, kept in a bounded ring. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace mcpfleet {

// Samples kept of a server, a minute each: 3 KiB.
inline constexpr size_t kUsageSamples = 60;

// How long operations take, in seconds: OpenTelemetry's buckets for MCP. Upper bounds, included.
inline constexpr std::array<double, 16> kOperationSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                          0.5,   1,      2.5,   5,    10,    30,   60,  300};
// Calls by the bucket that they fell into; the last: longer than every bound.
using CallTimes = std::array<int64_t, kOperationSeconds.size() + 1>;
size_t BucketOf(double seconds);

// What clients did with a server since mcplet started.
struct ServerTraffic {
  int sessions = 0;               // open now
  int64_t calls = 0, failed = 0;  // tool calls that ended, and those of them that failed
  CallTimes times{};
};

struct UsageCounters {
  MonoTime at{};
  std::optional<double> cpu_seconds;    // of its instances together; nullopt: none runs, or nothing is known
  std::optional<int64_t> memory_bytes;  // the same
  ServerTraffic traffic;
};

// Of the `seconds` before `at_ms`. Negative: not known, or there was nothing to measure.
struct UsageSample {
  int64_t at_ms = 0;  // since 1970
  int64_t memory_bytes = -1;
  float seconds = 0;
  float cpu = -1;  // cores, on average
  float p50_ms = -1, p99_ms = -1;
  int32_t sessions = 0, calls = 0, failed = 0;
};

// `before` an earlier look at the same server. Counters that have fallen began anew in between.
UsageSample SampleBetween(const UsageCounters& before, const UsageCounters& now, WallTime wall);

// The time that `part` of the calls took at most, interpolated within its bucket as Prometheus does it; negative when
// there are none. What is longer than every bound is told as the last of them.
double QuantileSeconds(const CallTimes& times, double part);

// The newest kUsageSamples, in the order in which they were added.
class UsageRing {
 public:
  void Add(const UsageSample& sample);
  std::vector<UsageSample> List() const;

 private:
  std::vector<UsageSample> samples_;
  size_t next_ = 0;  // the oldest, once it is full
};

}  // namespace mcpfleet
