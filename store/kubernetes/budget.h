// A bucket of so many requests, refilled steadily: what an API server is not asked more often than. Pure.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace mcpfleet::kube {

class Budget {
 public:
  // `refill`: how long one takes to come back.
  Budget(double burst, Duration refill, MonoTime now) : burst_(burst), left_(burst), refill_(refill), at_(now) {}
  // False when nothing is left.
  bool Take(MonoTime now) {
    left_ = std::min(burst_, left_ + static_cast<double>((now - at_).count()) / static_cast<double>(refill_.count()));
    at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double burst_, left_;
  Duration refill_;
  MonoTime at_;
};

}  // namespace mcpfleet::kube
