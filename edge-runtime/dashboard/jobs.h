// One thread for what blocks (the store's file, an engine's logs), so that the listener's loop never does. It is there
// from the first job on: a dashboard that nobody opens costs none. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"

namespace mcpfleet::dashboard {

class Jobs {
 public:
  Jobs() = default;
  ~Jobs() { Stop(); }
  // False when too many wait, or it has stopped. Jobs run in the order of the posts.
  bool Post(std::function<void()> job) LOCKS_EXCLUDED(mu_);
  // `tick` runs after each `pause` (at least that) until this is called again; null: no more. From inside a job only.
  void SetTick(std::function<void()> tick, Duration pause = {}) LOCKS_EXCLUDED(mu_);
  // Waits for the job under way; the others are dropped.
  void Stop() LOCKS_EXCLUDED(mu_);

 private:
  void Run();

  Mutex mu_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  std::function<void()> tick_ GUARDED_BY(mu_);
  Duration pause_ GUARDED_BY(mu_){};
  bool started_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::dashboard
