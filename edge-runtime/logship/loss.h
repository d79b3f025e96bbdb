// Where lost lines are told: the metric at once, people in an event, at most one a minute for each reason, and the
// node's condition. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/log_metrics.h"

namespace mcpfleet::logship {

// An event about the node: "Warning", a reason in CamelCase, a message.
using NodeEvent = std::function<void(std::string_view type, std::string_view reason, std::string_view message)>;

class LossReport {
 public:
  LossReport(LogMetrics& metrics, NodeEvent event, const Clock& clock)
      : metrics_(metrics), event_(std::move(event)), clock_(clock) {}
  // `reason`: one of kLogLossReasons; `where`: what people should know beside it, "" for nothing.
  void Lost(std::string_view reason, int64_t lines, std::string_view where) LOCKS_EXCLUDED(mu_);

  int64_t lines() const LOCKS_EXCLUDED(mu_);
  std::string last() const LOCKS_EXCLUDED(mu_);  // what was said of the last loss
  MonoTime last_at() const LOCKS_EXCLUDED(mu_);  // MonoTime{}: nothing was lost

 private:
  LogMetrics& metrics_;
  const NodeEvent event_;
  const Clock& clock_;
  struct Told {
    MonoTime at{};
    int64_t untold = 0;
  };
  mutable Mutex mu_;
  std::map<std::string, Told, std::less<>> told_ GUARDED_BY(mu_);  // by reason
  int64_t lines_ GUARDED_BY(mu_) = 0;
  std::string last_ GUARDED_BY(mu_);
  MonoTime last_at_ GUARDED_BY(mu_){};
};

}  // namespace mcpfleet::logship
