#include "controller/core/work_queue.h"

#include <algorithm>

#include "controller/core/restart_policy.h"

namespace mcpfleet {
namespace {
constexpr Duration kFirstRetry = std::chrono::milliseconds(20);
constexpr Duration kLastRetry = std::chrono::minutes(5);
}  // namespace

WorkQueue::WorkQueue(const Clock& clock, ControllerMetrics& metrics, uint64_t seed)
    : clock_(clock), metrics_(metrics), random_(seed) {}

void WorkQueue::Add(const ServerKey& key) {
  size_t depth = 0;
  {
    MutexLock lock(&mu_);
    AddLocked(key);
    depth = ready_.size();
  }
  metrics_.QueueAdded();
  metrics_.QueueDepth(depth);
}

void WorkQueue::AddAfter(const ServerKey& key, Duration delay) {
  if (delay <= Duration::zero()) {
    Add(key);
    return;
  }
  MutexLock lock(&mu_);
  SetTimerLocked(key, clock_.Now() + delay);
}

void WorkQueue::AddRateLimited(const ServerKey& key, MonoTime at_latest) {
  {
    MutexLock lock(&mu_);
    const double chance = std::uniform_real_distribution<double>(0, 1)(random_);
    const MonoTime due = clock_.Now() + BackOff(kFirstRetry, kLastRetry, ++failures_[key], chance);
    SetTimerLocked(key, std::min(due, at_latest));
  }
  metrics_.QueueRetried();
}

void WorkQueue::Forget(const ServerKey& key) {
  MutexLock lock(&mu_);
  failures_.erase(key);
}

void WorkQueue::CancelTimer(const ServerKey& key) {
  MutexLock lock(&mu_);
  ClearTimerLocked(key);
}

std::optional<ServerKey> WorkQueue::Get(Deadline deadline) {
  std::optional<ServerKey> key;
  Duration waited{};
  size_t depth = 0;
  {
    MutexLock lock(&mu_);
    while (!shut_down_) {
      const MonoTime now = clock_.Now();
      ReleaseDueLocked(now);
      if ((key = PopLocked(&waited))) break;
      if (deadline.Expired()) break;
      if (led_) {
        ++followers_;
        follower_cv_.WaitUntil(&mu_, deadline);
        --followers_;
      } else {
        led_ = true;
        leader_cv_.WaitUntil(&mu_, timers_.empty() ? deadline : deadline.AtMost(timers_.begin()->first - now));
        led_ = false;
      }
    }
    // Whoever leaves with a key may have been the leader, or was woken for several keys.
    if (!ready_.empty() || !led_) WakeOneLocked();
    depth = ready_.size();
  }
  if (key) {
    metrics_.QueueLatency(waited);
    metrics_.QueueDepth(depth);
  }
  return key;
}

std::optional<ServerKey> WorkQueue::TryGet() {
  std::optional<ServerKey> key;
  Duration waited{};
  {
    MutexLock lock(&mu_);
    if (shut_down_) return std::nullopt;
    ReleaseDueLocked(clock_.Now());
    key = PopLocked(&waited);
  }
  if (key) metrics_.QueueLatency(waited);
  return key;
}

void WorkQueue::Done(const ServerKey& key) {
  MutexLock lock(&mu_);
  processing_.erase(key);
  if (dirty_.contains(key)) {
    ready_.push_back(key);
    WakeOneLocked();
  }
}

MonoTime WorkQueue::NextDue() const {
  MutexLock lock(&mu_);
  if (!ready_.empty()) return MonoTime{};
  return timers_.empty() ? MonoTime::max() : timers_.begin()->first;
}

void WorkQueue::ShutDown() {
  MutexLock lock(&mu_);
  shut_down_ = true;
  leader_cv_.NotifyAll();
  follower_cv_.NotifyAll();
}

size_t WorkQueue::size() const {
  MutexLock lock(&mu_);
  return ready_.size();
}

void WorkQueue::AddLocked(const ServerKey& key) {
  if (!dirty_.emplace(key, clock_.Now()).second) return;
  if (processing_.contains(key)) return;  // Done hands it out again
  ready_.push_back(key);
  WakeOneLocked();
}

// A follower before the leader: the timers stay watched. One that is woken twice takes one key and wakes the next.
void WorkQueue::WakeOneLocked() {
  if (followers_ > 0) {
    follower_cv_.NotifyOne();
  } else {
    leader_cv_.NotifyOne();
  }
}

void WorkQueue::ReleaseDueLocked(MonoTime now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    ServerKey key = timers_.begin()->second;
    ClearTimerLocked(key);
    AddLocked(key);
  }
}

std::optional<ServerKey> WorkQueue::PopLocked(Duration* waited) {
  if (ready_.empty()) return std::nullopt;
  ServerKey key = std::move(ready_.front());
  ready_.pop_front();
  auto it = dirty_.find(key);
  *waited = clock_.Now() - it->second;
  dirty_.erase(it);
  processing_.insert(key);
  return key;
}

void WorkQueue::SetTimerLocked(const ServerKey& key, MonoTime when) {
  ClearTimerLocked(key);
  timer_of_[key] = when;
  timers_.emplace(when, key);
  // The leader may have to wake earlier than it meant to.
  if (timers_.begin()->second == key) leader_cv_.NotifyOne();
}

void WorkQueue::ClearTimerLocked(const ServerKey& key) {
  auto it = timer_of_.find(key);
  if (it == timer_of_.end()) return;
  timers_.erase({it->second, key});
  timer_of_.erase(it);
}

}  // namespace mcpfleet
