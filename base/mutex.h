// A mutex that clang's -Wthread-safety understands and TSan believes (Debian 12's absl::Mutex gives false races).
//
//   class Counter {
//     Mutex mu_;
//     int n_ GUARDED_BY(mu_) = 0;
//     void Add() { MutexLock lock(&mu_); ++n_; }
//   };
//
// Leaf locks only: never call a port or a callback while holding one.
#pragma once

#include <absl/base/thread_annotations.h>

#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace mcpfleet {

class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* mu_;
};

class CondVar {
 public:
  // The caller holds `mu`. May wake without a signal: wait in a loop on the condition.
  void Wait(Mutex* mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // False when the deadline has passed.
  bool WaitUntil(Mutex* mu, Deadline deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    bool in_time = true;
    if (deadline.at() == MonoTime::max()) {
      cv_.wait(lock);
    } else {
      in_time = cv_.wait_until(lock, deadline.at()) == std::cv_status::no_timeout;
    }
    lock.release();
    return in_time;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace mcpfleet

// absl 20220623 still defines these names itself, later releases do not.
#undef GUARDED_BY
#undef EXCLUSIVE_LOCKS_REQUIRED
#undef LOCKS_EXCLUDED
#undef NO_THREAD_SAFETY_ANALYSIS
#define GUARDED_BY(x) ABSL_GUARDED_BY(x)
#define EXCLUSIVE_LOCKS_REQUIRED(...) ABSL_EXCLUSIVE_LOCKS_REQUIRED(__VA_ARGS__)
#define LOCKS_EXCLUDED(...) ABSL_LOCKS_EXCLUDED(__VA_ARGS__)
#define NO_THREAD_SAFETY_ANALYSIS ABSL_NO_THREAD_SAFETY_ANALYSIS
