#include "controller/core/restart_policy.h"

#include <algorithm>
#include <cmath>

namespace mcpfleet {

std::string ReasonOf(const ExitInfo& exit) {
  if (exit.oom) return "OOMKilled";
  if (exit.signal != 0) return "Signalled";
  return exit.code == 0 ? "Completed" : "Error";
}

Duration BackOff(Duration initial, Duration max, int failures, double chance) {
  if (failures <= 0) return Duration::zero();
  const double doubled = static_cast<double>(initial.count()) * std::pow(2.0, std::min(failures - 1, 40));
  const double jittered = doubled * (0.8 + 0.4 * chance);
  return Duration(static_cast<int64_t>(std::min(jittered, static_cast<double>(max.count()))));
}

void RecordExit(const RestartPolicy& policy, const ExitCause& cause, MonoTime now, WallTime wall, double chance,
                RestartState* state) {
  state->last_exit = cause.exit;
  state->last_reason = !cause.reason.empty() ? cause.reason : cause.exit ? ReasonOf(*cause.exit) : "Error";
  state->last_at = wall;
  state->message = cause.message;
  state->stderr_tail = cause.stderr_tail;

  const bool well = !cause.forced && cause.exit && cause.exit->code == 0 && cause.exit->signal == 0 && !cause.exit->oom;
  if (policy.condition == RestartCondition::kNever || (policy.condition == RestartCondition::kOnFailure && well)) {
    state->verdict = well ? RestartVerdict::kCompleted : RestartVerdict::kFailed;
    return;
  }
  if (cause.healthy_for >= policy.reset_after) {
    state->attempts = 0;
    state->failures = 0;
  } else {
    ++state->failures;
  }
  if (policy.max_attempts > 0 && state->attempts >= policy.max_attempts) {
    state->verdict = RestartVerdict::kFailed;
    return;
  }
  ++state->attempts;
  ++state->count;
  state->verdict = RestartVerdict::kRestart;
  const Duration delay = BackOff(policy.backoff_initial, policy.backoff_max, state->failures, chance);
  state->next_attempt = now + delay;
  state->next_attempt_at = wall + delay;
}

void RecordStart(RestartState* state) {
  state->verdict = RestartVerdict::kNone;
  state->next_attempt = MonoTime{};
  state->next_attempt_at = WallTime{};
}

void RecordNewSpec(RestartState* state) {
  RecordStart(state);
  state->attempts = 0;
  state->failures = 0;
}

}  // namespace mcpfleet
