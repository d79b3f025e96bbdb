#include "controller/core/conditions.h"

#include <algorithm>
#include <tuple>

namespace mcpfleet {
namespace {

using Phase = MainState::Phase;

struct Verdict {
  ConditionStatus status;
  std::string reason, message;
};
Verdict True(std::string reason, std::string message = "") {
  return {ConditionStatus::kTrue, std::move(reason), std::move(message)};
}
Verdict False(std::string reason, std::string message = "") {
  return {ConditionStatus::kFalse, std::move(reason), std::move(message)};
}
Verdict Unknown(std::string reason, std::string message = "") {
  return {ConditionStatus::kUnknown, std::move(reason), std::move(message)};
}

class StatusBuilder {
 public:
  explicit StatusBuilder(const StatusInput& input)
      : in_(input), observed_(*input.observed), serving_(ServingInstance(input.desired, *input.observed)) {
    matches_ = serving_ != nullptr && in_.desired != nullptr && Matches(serving_->report, *in_.desired);
    remote_ = in_.desired != nullptr && IsRemote(*in_.desired);
    hold_ = in_.desired != nullptr && OnHold(*in_.desired);
    runs_ = remote_ || (serving_ != nullptr && MainRuns(*serving_));
  }

  Verdict Accepted() const {
    if (in_.desired == nullptr) return Unknown("Removing", "no longer placed on this node");
    if (!in_.desired->rejected_reason.empty())
      return False(in_.desired->rejected_reason, in_.desired->rejected_message);
    if (in_.desired->pending)
      return Unknown("ObjectPending", "a newer version is announced, its object has not arrived");
    return True("Accepted");
  }

  Verdict ResolvedRefs() const { return True("Resolved"); }

  Verdict ArtifactReady() const {
    if (remote_) return True("NotNeeded");
    const bool ready = observed_.artifact.phase == ArtifactState::Phase::kReady;
    // Without its runtime nothing is known of it, whatever the last attempt said.
    if (!ready && !matches_ && !observed_.runtime_reason.empty()) {
      return Unknown(observed_.runtime_reason, observed_.runtime_message);
    }
    switch (observed_.artifact.phase) {
      case ArtifactState::Phase::kReady:
        return True("Pulled");
      case ArtifactState::Phase::kPulling:
        if (matches_) return True("InUse");
        return False("Pulling", observed_.artifact.message);
      case ArtifactState::Phase::kFailed:
        if (matches_ && runs_) return True("InUse");
        if (NothingStarts()) return NotNeeded();
        return False("PullFailed", observed_.artifact.message);
      case ArtifactState::Phase::kAbsent:
        break;
    }
    if (matches_ || (hold_ && serving_ != nullptr)) return True("InUse");
    if (Suspended()) return Unknown("Suspended");
    if (NothingStarts()) return NotNeeded();
    return Unknown("NotPulled");
  }

  Verdict SandboxEnforced() const {
    if (remote_) return True("NotNeeded");
    if (serving_ == nullptr) return Unknown("NotStarted");
    if (!serving_->report.unenforced.empty()) return False("PartlyEnforced", serving_->report.unenforced);
    return True("Enforced");
  }

  Verdict StdioTransport() const {
    if (remote_) return True("NotNeeded");
    if (serving_ == nullptr) return Unknown("NotStarted");
    const std::string& attached = serving_->report.attached;
    if (!attached.empty()) return False("Attach", attached + "; the session does not outlive mcplet");
    return serving_->report.shim ? True("Shim") : True("NotNeeded");
  }

  Verdict Available() const {
    if (Suspended()) return False("Suspended", "spec.suspend is set");
    if (remote_) {
      if (!observed_.probe.handshake) return Unknown("NotProbed", observed_.probe.message);
      return observed_.probe.liveness_failures == 0 ? True("Answers") : False("ProbeFailed", observed_.probe.message);
    }
    if (runs_) return True("Running");
    const RestartState& restart = observed_.restart;
    const std::string& revision = serving_ != nullptr      ? serving_->report.revision
                                  : in_.desired != nullptr ? in_.desired->revision
                                                           : restart.revision;
    switch (restart.VerdictOn(revision)) {
      case RestartVerdict::kFailed:
        return False("Failed", EndText("will not be restarted until its spec changes"));
      case RestartVerdict::kCompleted:
        return False("Completed", EndText("its restartPolicy does not restart it"));
      case RestartVerdict::kRestart:
        if (restart.next_attempt > in_.now) {
          return False("CrashLoopBackOff",
                       EndText("restarts in " + FormatDuration(RoundUp(restart.next_attempt - in_.now))));
        }
        break;
      case RestartVerdict::kNone:
        break;
    }
    if (!in_.failure.reason.empty()) return False(in_.failure.reason, in_.failure.message);
    if (!observed_.runtime_reason.empty()) return False(observed_.runtime_reason, observed_.runtime_message);
    if (hold_ && serving_ == nullptr) return False("NotStarted");
    if (serving_ == nullptr) return False("NoInstance");
    if (serving_->report.state == InstanceState::kRunning && serving_->report.shim && !serving_->connected) {
      return False("WaitingForShim");
    }
    return False("Starting");
  }

  Verdict Verified() const {
    if (!runs_) return Unknown("NotRunning");
    const ProbeState& probe = observed_.probe;
    if (probe.verified) {
      return True("Verified", probe.last.server_info.name + " " + probe.last.server_info.version + ", " +
                                  std::to_string(probe.last.catalog.tools) + " tools");
    }
    if (probe.reason == "NotProbed") return Unknown("Verifying");
    return False(probe.reason, probe.message);
  }

  Verdict Progressing(const Verdict& ready) const {
    if (ready.status == ConditionStatus::kTrue) return True("Complete");
    if (in_.desired == nullptr) return True("Removing");
    if (hold_) return False(Accepted().reason, Accepted().message);
    if (Suspended()) return observed_.instances.empty() ? True("Complete") : True("Stopping");
    const Verdict artifact = ArtifactReady(), available = Available();
    if (artifact.reason == "PullFailed") return False(artifact.reason, artifact.message);
    if (artifact.reason == "Pulling") return True("Pulling", artifact.message);
    for (const char* stuck : {"Failed", "Completed", "CrashLoopBackOff"}) {
      if (available.reason == stuck) return False(available.reason, available.message);
    }
    if (!in_.failure.reason.empty()) return False(in_.failure.reason, in_.failure.message);
    if (!observed_.runtime_reason.empty()) return False(observed_.runtime_reason, observed_.runtime_message);
    if (serving_ != nullptr && !matches_) return True("Updating");
    if (runs_ && observed_.probe.handshake) return False(observed_.probe.reason, observed_.probe.message);
    return True("Starting");
  }

  Verdict Ready(const std::vector<std::pair<const char*, Verdict>>& parts) const {
    for (const auto& [type, verdict] : parts) {
      if (verdict.status != ConditionStatus::kTrue) return verdict;
    }
    if (serving_ != nullptr && !matches_ && !hold_) {
      return False("Updating", "the revision " + serving_->report.revision.substr(0, 12) + " still serves");
    }
    return True("Ready");
  }

  void FillInstances(ServerStatus* status) const {
    for (const InstanceView& view : observed_.instances) {
      const InstanceReport& report = view.report;
      status->instances.push_back({report.id, std::string(ToString(report.runtime)),
                                   std::string(ToString(report.state)), report.revision, report.started_at});
    }
    if (serving_ != nullptr) status->image_digest = serving_->report.artifact_digest;
    if (status->image_digest.empty()) status->image_digest = observed_.artifact.artifact.digest;
  }

  void FillRestarts(ServerStatus* status) const {
    const RestartState& restart = observed_.restart;
    status->restarts.count = restart.count;
    status->restarts.last_reason = restart.last_reason;
    status->restarts.last_at = restart.last_at;
    status->restarts.stderr_tail = restart.stderr_tail;
    if (restart.last_exit) {
      status->restarts.last_exit_code = restart.last_exit->code;
      status->restarts.last_signal = restart.last_exit->signal;
    }
    if (restart.verdict == RestartVerdict::kRestart && restart.next_attempt > in_.now) {
      status->restarts.next_attempt_at = in_.wall + (restart.next_attempt - in_.now);
    }
  }

 private:
  bool Suspended() const { return in_.desired != nullptr && !hold_ && in_.desired->spec.suspend; }
  // The policy ended what is wanted: its artifact is not asked for again, so a pull that failed is no news either.
  bool NothingStarts() const {
    if (in_.desired == nullptr) return false;
    const RestartVerdict verdict = observed_.restart.VerdictOn(in_.desired->revision);
    return verdict == RestartVerdict::kFailed || verdict == RestartVerdict::kCompleted;
  }
  static Verdict NotNeeded() { return True("NotNeeded", "nothing is to be started"); }
  static Duration RoundUp(Duration d) { return std::chrono::ceil<std::chrono::seconds>(d); }
  // "exited with code 1 (Error); restarts in 4s"
  std::string EndText(const std::string& what_next) const {
    const RestartState& restart = observed_.restart;
    std::string text = restart.last_reason;
    if (restart.last_exit && restart.last_exit->signal != 0) {
      text += ", signal " + std::to_string(restart.last_exit->signal);
    } else if (restart.last_exit) {
      text += ", exit code " + std::to_string(restart.last_exit->code);
    }
    if (!restart.message.empty()) text += ": " + restart.message;
    return text + "; " + what_next;
  }

  const StatusInput& in_;
  const Observed& observed_;
  const InstanceView* serving_;
  bool matches_ = false, remote_ = false, hold_ = false, runs_ = false;
};

bool SameCondition(const Condition& a, const Condition& b) {
  // CrashLoopBackOff counts seconds down in its message: no news.
  const bool same_text = a.message == b.message || (a.reason == b.reason && a.reason == "CrashLoopBackOff");
  return std::tie(a.type, a.status, a.observed_generation, a.reason, a.last_transition_time) ==
             std::tie(b.type, b.status, b.observed_generation, b.reason, b.last_transition_time) &&
         same_text;
}

}  // namespace

ServerStatus BuildStatus(const StatusInput& input, const ServerStatus* previous) {
  StatusBuilder builder(input);
  ServerStatus status;
  status.key = input.key;
  if (previous != nullptr) {
    status.conditions = previous->conditions;
    status.uid = previous->uid;
    status.observed_generation = previous->observed_generation;
    status.revision = previous->revision;
  }
  if (input.desired != nullptr) {
    status.uid = input.desired->uid;
    status.observed_generation = input.desired->generation;
    status.revision = input.desired->revision;
    if (const auto* remote = std::get_if<RemoteSource>(&input.desired->spec.source)) status.endpoint = remote->url;
  }
  std::vector<std::pair<const char*, Verdict>> parts = {{"Accepted", builder.Accepted()},
                                                        {"ResolvedRefs", builder.ResolvedRefs()},
                                                        {"ArtifactReady", builder.ArtifactReady()},
                                                        {"Available", builder.Available()},
                                                        {"Verified", builder.Verified()}};
  Verdict ready = builder.Ready(parts);
  parts.emplace_back("SandboxEnforced", builder.SandboxEnforced());
  parts.emplace_back("StdioTransport", builder.StdioTransport());
  parts.emplace_back("Progressing", builder.Progressing(ready));
  parts.emplace_back("Ready", std::move(ready));
  for (auto& [type, verdict] : parts) {
    SetCondition(
        &status.conditions,
        {type, verdict.status, status.observed_generation, {}, std::move(verdict.reason), std::move(verdict.message)},
        input.wall);
  }
  builder.FillInstances(&status);
  builder.FillRestarts(&status);
  if (input.observed->probe.handshake) {
    status.server_info = input.observed->probe.last.server_info;
    status.catalog = input.observed->probe.last.catalog;
  }
  return status;
}

bool SameStatus(const ServerStatus& a, const ServerStatus& b) {
  const auto instance = [](const InstanceSummary& i) {
    return std::tie(i.id, i.runtime, i.state, i.revision, i.started_at);
  };
  const auto catalog = [](const Catalog& c) {
    return std::tie(c.tools, c.resources, c.prompts, c.tools_hash, c.tool_names);
  };
  const auto info = [](const ServerInfo& i) { return std::tie(i.name, i.version, i.protocol_version, i.capabilities); };
  // next_attempt_at is computed from two clocks and jitters by nanoseconds: compared in seconds.
  const auto restarts = [](const Restarts& r) {
    return std::make_tuple(r.count, r.last_exit_code, r.last_signal, r.last_reason, r.last_at, r.stderr_tail,
                           r.next_attempt_at.has_value());
  };
  return std::tie(a.key, a.uid, a.observed_generation, a.revision, a.image_digest, a.endpoint) ==
             std::tie(b.key, b.uid, b.observed_generation, b.revision, b.image_digest, b.endpoint) &&
         std::equal(a.conditions.begin(), a.conditions.end(), b.conditions.begin(), b.conditions.end(),
                    SameCondition) &&
         std::equal(a.instances.begin(), a.instances.end(), b.instances.begin(), b.instances.end(),
                    [&](const auto& x, const auto& y) { return instance(x) == instance(y); }) &&
         info(a.server_info) == info(b.server_info) && catalog(a.catalog) == catalog(b.catalog) &&
         restarts(a.restarts) == restarts(b.restarts);
}

bool IsReady(const ServerStatus& status) {
  const Condition* ready = FindCondition(status.conditions, "Ready");
  return ready != nullptr && ready->status == ConditionStatus::kTrue;
}

}  // namespace mcpfleet
