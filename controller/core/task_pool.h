// Threads for calls that may take long (pulls, probes), so that no worker of the queue waits for them.
// Threads begin when they are needed, at most `threads`; with 0 tasks run inline, as the simulator wants. Tasks wait
// in order; one per server and kind, so the queue is bounded by the servers of a node.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace mcpfleet {

class TaskPool {
 public:
  explicit TaskPool(int threads) : max_threads_(threads) {}
  ~TaskPool() { Stop(); }
  void Submit(std::function<void()> task);
  // Drops what has not begun and waits for what has. Later tasks are dropped. Idempotent.
  void Stop();

 private:
  void Work();

  const int max_threads_;
  Mutex mu_;
  CondVar cv_;
  bool stopped_ GUARDED_BY(mu_) = false;
  int idle_ GUARDED_BY(mu_) = 0;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mu_);
  std::vector<std::thread> threads_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
