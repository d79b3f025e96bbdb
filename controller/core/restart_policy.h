// When a server that ended starts again. Pure: time and chance are arguments.
//
// The first restart after `reset_after` of health is immediate; every further one waits, `backoff_initial` doubled
// each time up to `backoff_max`, with a fifth of jitter either way so that fifty servers of one cause don't start in
// step. `max_attempts` restarts in a row without health end in kFailed until the spec changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "crd/server_spec.h"

namespace mcpfleet {

enum class RestartVerdict {
  kNone,       // nothing ended that is not running again
  kRestart,    // starts again at next_attempt
  kCompleted,  // ended well, and its policy says that this is the end
  kFailed,     // ended badly, and its policy (or max_attempts) says that this is the end
};

struct RestartState {
  RestartVerdict verdict = RestartVerdict::kNone;
  MonoTime next_attempt{};
  WallTime next_attempt_at{};  // the same, for who reads it after a restart of mcplet
  int attempts = 0;            // restarts in a row without `reset_after` of health between
  int failures = 0;            // of them those that waited: the exponent of the back-off
  int64_t count = 0;           // restarts altogether
  std::string revision;        // of what ended: its verdict says nothing of another revision
  // The last end.
  std::string last_reason;
  std::optional<ExitInfo> last_exit;
  WallTime last_at{};
  std::string message;
  std::string stderr_tail;

  RestartVerdict VerdictOn(const std::string& other) const {
    return revision.empty() || revision == other ? verdict : RestartVerdict::kNone;
  }
  // Whether `other` revision may start now (nothing of it ended, or its time has come).
  bool Due(const std::string& other, MonoTime now) const {
    const RestartVerdict on = VerdictOn(other);
    return on == RestartVerdict::kNone || (on == RestartVerdict::kRestart && next_attempt <= now);
  }
};

struct ExitCause {
  std::string reason;  // "" = told from `exit`
  std::optional<ExitInfo> exit;
  std::string message;  // for people
  std::string stderr_tail;
  Duration healthy_for{};  // how long it had been verified when it ended
  bool forced = false;     // mcplet or somebody else ended it: never counts as "completed"
};

// "OOMKilled" | "Signalled" | "Error" | "Completed".
std::string ReasonOf(const ExitInfo& exit);

// `chance` in [0, 1).
Duration BackOff(Duration initial, Duration max, int failures, double chance);

void RecordExit(const RestartPolicy& policy, const ExitCause& cause, MonoTime now, WallTime wall, double chance,
                RestartState* state);
// It was started again.
void RecordStart(RestartState* state);
// A new spec: a new chance at once. Keeps what people look at (count, last end).
void RecordNewSpec(RestartState* state);

}  // namespace mcpfleet
