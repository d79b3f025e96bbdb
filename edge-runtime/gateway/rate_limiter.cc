#include "edge-runtime/gateway/rate_limiter.h"

#include <algorithm>

namespace mcpfleet::gateway {
namespace {

constexpr Duration kSecond = std::chrono::seconds(1);

Duration IntervalOf(int count, Duration per) { return std::max(per / count, Duration(1)); }

Duration InWholeSeconds(Duration wait) {
  return std::max((wait + kSecond - Duration(1)) / kSecond, int64_t{1}) * kSecond;
}

}  // namespace

Duration TokenBucket::Wait(int count, Duration per, MonoTime now) const {
  return full_at - now - IntervalOf(count, per) * (count - 1);
}

void TokenBucket::Take(int count, Duration per, MonoTime now) {
  full_at = std::max(full_at, now) + IntervalOf(count, per);
}

RateLimiter::RateLimiter(const RateLimitSpec& spec) : spec_(spec) {}

std::optional<Duration> RateLimiter::Admit(const Subject& subject, MonoTime now) {
  TokenBucket* own = spec_.per_subject > 0 ? Find(subject.id) : nullptr;
  Duration wait{0};
  if (spec_.requests > 0) wait = std::max(wait, all_.Wait(spec_.requests, spec_.per, now));
  if (own != nullptr) wait = std::max(wait, own->Wait(spec_.per_subject, spec_.per, now));
  if (spec_.max_concurrent > 0 && in_flight_ >= spec_.max_concurrent) wait = std::max(wait, kSecond);
  if (wait > Duration(0)) return InWholeSeconds(wait);
  if (spec_.requests > 0) all_.Take(spec_.requests, spec_.per, now);
  if (spec_.per_subject > 0) {
    if (own == nullptr) own = Add(subject.id);
    own->Take(spec_.per_subject, spec_.per, now);
  }
  ++in_flight_;
  return std::nullopt;
}

void RateLimiter::Release() { in_flight_ = std::max(in_flight_ - 1, 0); }

void RateLimiter::Change(const RateLimitSpec& spec) {
  if (spec == spec_) return;
  spec_ = spec;
  all_ = {};
  by_id_.clear();
  recent_.clear();
}

// Null for a subject whose bucket is full. One that is refused counts as recent too: else others could make us forget
// that it has to wait.
TokenBucket* RateLimiter::Find(const std::string& id) {
  auto it = by_id_.find(id);
  if (it == by_id_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, it->second);
  return &it->second->bucket;
}

TokenBucket* RateLimiter::Add(const std::string& id) {
  if (recent_.size() >= kMaxSubjects) {
    by_id_.erase(recent_.back().id);
    recent_.pop_back();
  }
  recent_.push_front({id, {}});
  by_id_[recent_.front().id] = recent_.begin();
  return &recent_.front().bucket;
}

}  // namespace mcpfleet::gateway
