// The one thread on which all of the gateway happens. What comes from other threads (lines of children, news from the
// controller) is posted here, so nothing in this folder needs a lock.
#pragma once

#include <functional>

#include "base/clock.h"

namespace mcpfleet::gateway {

class Loop {
 public:
  virtual ~Loop() = default;
  // By the clock that PostAt goes by. From any thread.
  virtual MonoTime Now() const = 0;
  // From any thread; tasks run in the order they were posted. After the loop has ended they are dropped.
  virtual void Post(std::function<void()> task) = 0;
  // Runs `task` at `when` or soon after. It can't be taken back: the task must look whether it is still wanted.
  virtual void PostAt(MonoTime when, std::function<void()> task) = 0;
};

}  // namespace mcpfleet::gateway
