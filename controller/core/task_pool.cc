#include "controller/core/task_pool.h"

#include <utility>

namespace mcpfleet {

void TaskPool::Submit(std::function<void()> task) {
  if (max_threads_ == 0) {
    task();
    return;
  }
  MutexLock lock(&mu_);
  if (stopped_) return;
  tasks_.push_back(std::move(task));
  if (static_cast<int>(tasks_.size()) > idle_ && static_cast<int>(threads_.size()) < max_threads_) {
    threads_.emplace_back([this] { Work(); });
  }
  cv_.NotifyOne();
}

void TaskPool::Stop() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    tasks_.clear();
    threads.swap(threads_);
    cv_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void TaskPool::Work() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(&mu_);
      ++idle_;
      while (tasks_.empty() && !stopped_) cv_.Wait(&mu_);
      --idle_;
      if (stopped_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace mcpfleet
