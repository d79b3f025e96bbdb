#include "edge-runtime/dashboard/jobs.h"

#include <csignal>
#include <system_error>
#include <utility>

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMostWaiting = 256;

}  // namespace

bool Jobs::Post(std::function<void()> job) {
  MutexLock lock(&mu_);
  if (stopping_ || queue_.size() >= kMostWaiting) return false;
  if (!started_) {
    // Signals belong to the program's main thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { Run(); });
      started_ = true;
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!started_) return false;
  }
  queue_.push_back(std::move(job));
  wake_.NotifyOne();
  return true;
}

void Jobs::SetTick(std::function<void()> tick, Duration pause) {
  MutexLock lock(&mu_);
  tick_ = std::move(tick);
  pause_ = pause;
}

void Jobs::Stop() {
  std::thread thread;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    thread = std::move(thread_);
    wake_.NotifyOne();
  }
  if (thread.joinable()) thread.join();
  MutexLock lock(&mu_);
  queue_.clear();
  tick_ = nullptr;
}

void Jobs::Run() {
  Deadline next = Deadline::Never();
  for (;;) {
    std::function<void()> job;
    bool ticks = false;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_ && !(tick_ && next.Expired())) wake_.WaitUntil(&mu_, next);
      if (stopping_) return;
      ticks = queue_.empty();
      if (ticks) {
        job = tick_;
      } else {
        job = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    job();
    MutexLock lock(&mu_);
    if (!tick_) {
      next = Deadline::Never();
    } else if (ticks || next.at() == MonoTime::max()) {
      next = Deadline::After(pause_);
    }
  }
}

}  // namespace mcpfleet::dashboard
