// A WorkQueue hands keys to workers, each key to one worker at a time.
//
// A key that is added while a worker has it is handed out again after Done: nothing is lost, nothing is done twice at
// once. A key has at most one timer; setting it again moves it. Retries back off per key, 20 ms doubled up to 5 min.
// Times come from the Clock, so that a simulator can turn it; blocking in Get is real time. Thread-safe.
//
// Of the waiting workers one watches the timers, the others sleep until they are handed something (leader and
// followers): a timer that fires wakes one worker, however many there are.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/recorder.h"
#include "crd/object.h"

namespace mcpfleet {

class WorkQueue {
 public:
  WorkQueue(const Clock& clock, ControllerMetrics& metrics, uint64_t seed);

  void Add(const ServerKey& key);
  void AddAfter(const ServerKey& key, Duration delay);
  // After the back-off that its failures in a row have earned, but not later than `at_latest`.
  void AddRateLimited(const ServerKey& key, MonoTime at_latest = MonoTime::max());
  // Forgets the failures; the next AddRateLimited begins again.
  void Forget(const ServerKey& key);
  void CancelTimer(const ServerKey& key);

  // Waits for a key until the deadline; nullopt then, or after ShutDown. Every key got must be given back by Done.
  std::optional<ServerKey> Get(Deadline deadline);
  std::optional<ServerKey> TryGet();
  void Done(const ServerKey& key);

  // When the next key is due: in the past when one is ready, MonoTime::max() when there is nothing.
  MonoTime NextDue() const;
  // Get returns nullopt at once from now on.
  void ShutDown();
  size_t size() const;  // ready keys

 private:
  void AddLocked(const ServerKey& key) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReleaseDueLocked(MonoTime now) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<ServerKey> PopLocked(Duration* waited) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetTimerLocked(const ServerKey& key, MonoTime when) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ClearTimerLocked(const ServerKey& key) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeOneLocked() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  ControllerMetrics& metrics_;

  mutable Mutex mu_;
  CondVar leader_cv_, follower_cv_;
  bool led_ GUARDED_BY(mu_) = false;   // a worker waits for the first timer
  int followers_ GUARDED_BY(mu_) = 0;  // workers that wait without looking at timers
  bool shut_down_ GUARDED_BY(mu_) = false;
  std::mt19937_64 random_ GUARDED_BY(mu_);
  std::deque<ServerKey> ready_ GUARDED_BY(mu_);
  std::map<ServerKey, MonoTime> dirty_ GUARDED_BY(mu_);  // wants a look, since when; in ready_ unless processing
  std::set<ServerKey> processing_ GUARDED_BY(mu_);
  std::map<ServerKey, MonoTime> timer_of_ GUARDED_BY(mu_);
  std::set<std::pair<MonoTime, ServerKey>> timers_ GUARDED_BY(mu_);
  std::map<ServerKey, int> failures_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
