#include "edge-runtime/logship/loss.h"

#include "base/log.h"

namespace mcpfleet::logship {
namespace {

constexpr Duration kQuiet = std::chrono::minutes(1);

std::string Explained(std::string_view reason) {
  if (reason == "rotated")
    return "their file was rotated away before it was read; spec.logs.maxSize of the server may be larger";
  if (reason == "spool") return "the spool is full, the oldest went; spec.logs.spoolQuota of the node may be larger";
  if (reason == "refused") return "the store does not take them";
  if (reason == "conflict")
    return "the store has another chunk of that name: does another machine use this node's state?";
  return "the spool can't be read";
}

}  // namespace

void LossReport::Lost(std::string_view reason, int64_t lines, std::string_view where) {
  if (lines <= 0) return;
  metrics_.LogLinesLost(reason, lines);
  std::string message;
  {
    MutexLock lock(&mu_);
    lines_ += lines;
    Told& told = told_[std::string(reason)];
    told.untold += lines;
    const MonoTime now = clock_.Now();
    last_at_ = now;
    if (told.at != MonoTime{} && now - told.at < kQuiet) return;
    message = std::to_string(told.untold) + (told.untold == 1 ? " line" : " lines") + " of logs lost";
    if (!where.empty()) message.append(" of ").append(where);
    message += ": " + Explained(reason);
    told = {now, 0};
    last_ = message;
  }
  LOG_WARNING("lines of logs were lost", {{"reason", reason}, {"what", message}});
  if (event_) event_("Warning", "LogLinesLost", message);
}

int64_t LossReport::lines() const {
  MutexLock lock(&mu_);
  return lines_;
}

std::string LossReport::last() const {
  MutexLock lock(&mu_);
  return last_;
}

MonoTime LossReport::last_at() const {
  MutexLock lock(&mu_);
  return last_at_;
}

}  // namespace mcpfleet::logship
