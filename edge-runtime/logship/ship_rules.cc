#include "edge-runtime/logship/ship_rules.h"

#include <algorithm>
#include <cmath>

namespace mcpfleet::logship {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1), kMostRetry = std::chrono::minutes(5);
constexpr int64_t kFlood = 256 << 10;

}  // namespace

MonoTime SealAt(const ChunkAge& age, Duration interval) {
  if (age.empty) return MonoTime::max();
  MonoTime at = age.begun + interval;
  if (age.waiting >= kBusySpool) return at;
  if (age.urgent != MonoTime{}) at = std::min(at, std::max(age.urgent + kLastWords, age.last_sealed + kUrgentPause));
  if (age.followed) at = std::min(at, age.begun + kFollowedAge);
  return at;
}

PutOutcome Judge(const Status& put) {
  if (put.ok()) return PutOutcome::kTaken;
  if (put.code() == StatusCode::kAlreadyExists) return PutOutcome::kConflict;
  if (put.code() == StatusCode::kInvalidArgument) return PutOutcome::kRefused;
  // Also what credentials, quotas and proxies say: another day they say something else.
  return PutOutcome::kLater;
}

Duration RetryDelay(int failures, Duration retry_after, double chance) {
  const Duration window = std::min(kMostRetry, kFirstRetry * (int64_t{1} << std::clamp(failures - 1, 0, 20)));
  const Duration wait = window - std::chrono::duration_cast<Duration>(window * (0.5 * std::clamp(chance, 0.0, 1.0)));
  return std::max(wait, std::min(retry_after, kMostRetry));
}

Duration Throttle::Take(double amount, MonoTime now) {
  if (last_ == MonoTime{}) last_ = now;
  tokens_ = std::min(burst_, tokens_ + per_second_ * std::chrono::duration<double>(now - last_).count());
  last_ = now;
  // Something larger than the burst goes when the bucket is full.
  const double needed = std::min(amount, burst_);
  if (tokens_ >= needed) {
    tokens_ -= needed;
    return Duration::zero();
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(std::ceil((needed - tokens_) / per_second_ * 1e9)));
}

Duration NextPause(Duration before, int64_t bytes_read) {
  if (bytes_read >= kFlood) return kLeastPause;
  if (bytes_read > 0) return 2 * kLeastPause;
  return std::clamp(2 * before, kLeastPause, kMostPause);
}

}  // namespace mcpfleet::logship
