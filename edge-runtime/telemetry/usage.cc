#include "edge-runtime/telemetry/usage.h"

#include <algorithm>
#include <limits>

namespace mcpfleet {
namespace {

int32_t Clamped(int64_t count) {
  return static_cast<int32_t>(std::clamp<int64_t>(count, 0, std::numeric_limits<int32_t>::max()));
}

}  // namespace

size_t BucketOf(double seconds) {
  return static_cast<size_t>(std::lower_bound(kOperationSeconds.begin(), kOperationSeconds.end(), seconds) -
                             kOperationSeconds.begin());
}

double QuantileSeconds(const CallTimes& times, double part) {
  int64_t all = 0;
  for (int64_t count : times) all += count;
  if (all == 0) return -1;
  const double wanted = part * static_cast<double>(all);
  double below = 0;
  for (size_t i = 0; i < kOperationSeconds.size(); ++i) {
    const auto here = static_cast<double>(times[i]);
    if (here > 0 && below + here >= wanted) {
      const double from = i == 0 ? 0 : kOperationSeconds[i - 1];
      return from + (kOperationSeconds[i] - from) * std::max(0.0, wanted - below) / here;
    }
    below += here;
  }
  return kOperationSeconds.back();
}

UsageSample SampleBetween(const UsageCounters& before, const UsageCounters& now, WallTime wall) {
  const double seconds = std::chrono::duration<double>(now.at - before.at).count();
  UsageSample sample{.at_ms = ToMillis(wall),
                     .memory_bytes = now.memory_bytes.value_or(-1),
                     .seconds = static_cast<float>(std::max(0.0, seconds)),
                     .sessions = std::max(0, now.traffic.sessions)};
  // Less than before: an instance has gone, and nobody knows what the others used.
  if (seconds > 0 && before.cpu_seconds && now.cpu_seconds && *now.cpu_seconds >= *before.cpu_seconds)
    sample.cpu = static_cast<float>((*now.cpu_seconds - *before.cpu_seconds) / seconds);
  const bool anew = now.traffic.calls < before.traffic.calls;
  const ServerTraffic since = anew ? ServerTraffic{} : before.traffic;
  sample.calls = Clamped(now.traffic.calls - since.calls);
  sample.failed = std::min(sample.calls, Clamped(now.traffic.failed - since.failed));
  CallTimes times{};
  for (size_t i = 0; i < times.size(); ++i) times[i] = std::max<int64_t>(0, now.traffic.times[i] - since.times[i]);
  if (const double p50 = QuantileSeconds(times, 0.5); p50 >= 0) {
    sample.p50_ms = static_cast<float>(p50 * 1000);
    sample.p99_ms = static_cast<float>(QuantileSeconds(times, 0.99) * 1000);
  }
  return sample;
}

void UsageRing::Add(const UsageSample& sample) {
  if (samples_.size() < kUsageSamples) {
    samples_.push_back(sample);
    return;
  }
  samples_[next_] = sample;
  next_ = (next_ + 1) % kUsageSamples;
}

std::vector<UsageSample> UsageRing::List() const {
  std::vector<UsageSample> list(samples_.begin() + static_cast<std::ptrdiff_t>(next_), samples_.end());
  list.insert(list.end(), samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(next_));
  return list;
}

}  // namespace mcpfleet
