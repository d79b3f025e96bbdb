#include "controller/core/conditions.h"

#include <algorithm>
#include <tuple>

#include "base/strings.h"
#include "crd/tool_pins.h"

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
    // What failed before it fell asleep is past; what fails while it wakes is not.
    sleeps_ = in_.desired != nullptr && Sleeps(*in_.desired, observed_) &&
              (observed_.sleep.phase == SleepState::Phase::kAsleep || in_.failure.reason.empty());
    if (serving_ != nullptr && !remote_) {
      probe_ = serving_->probe;
      restart_ = serving_->restart;
    }
  }

  Verdict Accepted() const {
    if (in_.desired == nullptr) return Unknown("Removing", "no longer placed on this node");
    if (!in_.desired->rejected_reason.empty())
      return False(in_.desired->rejected_reason, in_.desired->rejected_message);
    if (in_.desired->pending)
      return Unknown("ObjectPending", "a newer version is announced, its object has not arrived");
    return True("Accepted");
  }

  Verdict ResolvedRefs() const {
    if (in_.desired == nullptr || in_.desired->unresolved_reason.empty()) return True("Resolved");
    return False(in_.desired->unresolved_reason, in_.desired->unresolved_message);
  }

  Verdict ArtifactReady() const {
    if (remote_) return True("NotNeeded");
    const bool ready = observed_.artifact.phase == ArtifactState::Phase::kReady;
    if (!ready && sleeps_) return NotNeeded();
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
    const std::string& lacks = serving_->report.unenforced;
    if (SubjectsTakeTurns()) {
      return False("SessionsNotIsolated",
                   "processes of different clients can't be kept apart (landlock ABI 6, Linux 6.12, is missing): one "
                   "subject at a time is served" +
                       (lacks.empty() ? "" : "; " + lacks));
    }
    if (!lacks.empty()) return False("PartlyEnforced", lacks);
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
      if (!probe_.handshake) return Unknown("NotProbed", probe_.message);
      return probe_.liveness_failures == 0 ? True("Answers") : False("ProbeFailed", probe_.message);
    }
    if (sleeps_) return Sleeping();
    if (runs_) return True("Running");
    const RestartState& restart = restart_;
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
    if (sleeps_) return True(Sleeping().reason, Described(observed_.sleep.last));
    if (!runs_) return Unknown("NotRunning");
    if (probe_.verified) return True("Verified", Described(probe_.last));
    if (probe_.reason == "NotProbed") return Unknown("Verifying");
    return False(probe_.reason, probe_.message);
  }

  Verdict Exposed() const {
    if (!in_.endpoint || in_.endpoint->empty()) return False("NoEndpoint", "the gateway does not serve it");
    if (serving_ != nullptr && !serving_->report.attached.empty())
      return False("Attached",
                   "its stdio is attached (condition StdioTransport), so there are no processes for clients");
    if (in_.exposure && in_.exposure->status != ConditionStatus::kTrue)
      return {in_.exposure->status, in_.exposure->reason, in_.exposure->message};
    if (Verified().status != ConditionStatus::kTrue) return Unknown("NotVerified");
    return True("Exposed", Endpoint());
  }
  // Where clients reach it.
  std::string Endpoint() const {
    const bool tunnel = in_.exposure && in_.exposure->status == ConditionStatus::kTrue;
    return tunnel ? in_.exposure->url : *in_.endpoint;
  }
  bool HasEndpoint() const {
    return in_.endpoint && !in_.endpoint->empty() && Verified().status == ConditionStatus::kTrue &&
           (serving_ == nullptr || serving_->report.attached.empty());
  }

  // Nothing to say while nothing is pinned and nothing is hidden.
  std::optional<Verdict> ToolsPinned() const {
    const ToolsSpec* spec = ServingTools();
    if (spec == nullptr || spec->pinning == ToolPinning::kOff) return std::nullopt;
    const Catalog& catalog = sleeps_ ? observed_.sleep.last.catalog : probe_.last.catalog;
    // What sleeps over a restart of mcplet is remembered without its hashes.
    const bool listed = sleeps_ ? !catalog.tool_hashes.empty() : runs_ && probe_.handshake;
    std::string hidden;
    if (listed && !catalog.hidden_text.empty()) hidden = "hidden characters in " + Join(catalog.hidden_text, ", ");
    if (spec->pins.empty()) {
      if (hidden.empty()) return std::nullopt;
      return Unknown("NotPinned", hidden);
    }
    if (!listed) return Unknown("NotListed", "its tools were not listed yet");
    const PinDifferences differences = PinDifferencesOf(*spec, catalog.tool_hashes);
    std::vector<std::string> parts;
    if (!differences.changed.empty()) parts.push_back("changed: " + NamesOf(differences.changed));
    if (!differences.missing.empty()) parts.push_back("missing: " + NamesOf(differences.missing));
    if (!differences.added.empty()) parts.push_back("not pinned: " + NamesOf(differences.added));
    if (!hidden.empty()) parts.push_back(hidden);
    const std::string text = Join(parts, "; ");
    if (!differences.changed.empty()) return False("ToolsChanged", text);
    if (!differences.missing.empty()) return False("ToolsMissing", text);
    if (!differences.added.empty()) return False("ToolsNotPinned", text);
    return True("Pinned", text);
  }

  Verdict Progressing(const Verdict& ready) const {
    if (!observed_.undone.empty()) return False("ProgressDeadlineExceeded", Undone());
    if (ready.status == ConditionStatus::kTrue) {
      for (const InstanceView& view : observed_.instances) {
        if (view.draining_since) return True("Draining", view.report.id + " finishes its conversations");
      }
      return True("Complete");
    }
    if (in_.desired == nullptr) return True("Removing");
    if (hold_) {
      const Verdict why = Accepted().status == ConditionStatus::kTrue ? ResolvedRefs() : Accepted();
      return False(why.reason, why.message);
    }
    if (Suspended()) return observed_.instances.empty() ? True("Complete") : True("Stopping");
    if (std::string failure = RolloutFailure(*in_.desired, observed_, in_.now); !failure.empty()) {
      return False("ProgressDeadlineExceeded", failure);
    }
    const Verdict artifact = ArtifactReady(), available = Available();
    if (artifact.reason == "PullFailed") return False(artifact.reason, artifact.message);
    if (artifact.reason == "Pulling") return True("Pulling", artifact.message);
    for (const char* stuck : {"Failed", "Completed", "CrashLoopBackOff"}) {
      if (available.reason == stuck) return False(available.reason, available.message);
    }
    if (!in_.failure.reason.empty()) return False(in_.failure.reason, in_.failure.message);
    if (!observed_.runtime_reason.empty()) return False(observed_.runtime_reason, observed_.runtime_message);
    if (serving_ != nullptr && !matches_) return True("Updating", Beside());
    if (ToolsKeepFromReady() && probe_.verified) return False(ready.reason, ready.message);
    if (runs_ && probe_.handshake) return False(probe_.reason, probe_.message);
    return True("Starting");
  }

  Verdict Ready(const std::vector<std::pair<const char*, Verdict>>& parts) const {
    for (const auto& [type, verdict] : parts) {
      if (verdict.status != ConditionStatus::kTrue) return verdict;
    }
    if (sleeps_) return Sleeping();
    if (!observed_.undone.empty()) return False("ProgressDeadlineExceeded", Undone());
    if (serving_ != nullptr && !matches_ && !hold_) {
      return False("Updating", "the revision " + serving_->report.revision.substr(0, 12) + " still serves");
    }
    if (ToolsKeepFromReady()) return *ToolsPinned();
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

  void FillFindings(ServerStatus* status) const {
    if (!sleeps_ && !probe_.handshake) return;
    const Verification& found = sleeps_ ? observed_.sleep.last : probe_.last;
    status->server_info = found.server_info;
    status->catalog = found.catalog;
  }

  void FillRestarts(ServerStatus* status) const {
    // While two revisions are here each has its own; the later end is the news.
    const RestartState& restart = restart_.last_at > observed_.restart.last_at ? restart_ : observed_.restart;
    status->restarts.count = std::max(restart_.count, observed_.restart.count);
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
  // Clients of several subjects would have children of their own side by side that nothing separates: the gateway then
  // lets one subject in at a time.
  bool SubjectsTakeTurns() const {
    if (!in_.endpoint || in_.desired == nullptr || serving_->separates_clients.value_or(true)) return false;
    const ServerSpec& spec = in_.desired->spec;
    const bool modern = probe_.handshake ? probe_.last.modern : observed_.sleep.last.modern;
    const bool one_child = spec.sessions.mode == SessionMode::kShared || modern;
    const bool subjects =
        spec.auth.type == AuthType::kBearer ? spec.auth.tokens.size() > 1 : spec.auth.type != AuthType::kNone;
    return spec.transport == Transport::kStdio && subjects && !one_child;
  }
  bool Suspended() const { return in_.desired != nullptr && !hold_ && in_.desired->spec.suspend; }
  // The policy of the server that runs: a new one may come with new tools. Null when it is not known.
  const ToolsSpec* ServingTools() const {
    if (in_.desired == nullptr) return nullptr;
    if (matches_ || remote_ || serving_ == nullptr) return &in_.desired->spec.tools;
    return observed_.previous != nullptr ? &observed_.previous->spec.tools : nullptr;
  }
  bool ToolsKeepFromReady() const {
    const ToolsSpec* spec = ServingTools();
    return spec != nullptr && runs_ && probe_.handshake && PinsBroken(*spec, probe_.last.catalog.tool_hashes);
  }
  // "a, b and 3 more"
  static std::string NamesOf(const std::vector<std::string>& tools) {
    constexpr size_t kMost = 10;
    std::vector<std::string> shown;
    for (size_t i = 0; i < std::min(tools.size(), kMost); ++i) shown.push_back(Printable(tools[i], 64));
    return Join(shown, ", ") + (tools.size() > kMost ? " and " + std::to_string(tools.size() - kMost) + " more" : "");
  }
  Verdict Sleeping() const {
    if (observed_.sleep.phase == SleepState::Phase::kWaking) return True("Waking", "a client asked for it");
    return True("Sleeping", "nobody uses it; the first request starts it");
  }
  static std::string Described(const Verification& found) {
    return found.server_info.name + " " + found.server_info.version + ", " + std::to_string(found.catalog.tools) +
           " tools";
  }
  std::string Undone() const {
    return observed_.undone + "; revision " + in_.desired->revision.substr(0, 12) +
           " serves, and the new one is tried again when the spec changes";
  }
  // How the new revision fares while the old one serves. Without times: they would be news each second.
  std::string Beside() const {
    const InstanceView* wanted = WantedInstance(*in_.desired, observed_);
    if (wanted == nullptr || !observed_.rollout) return "";
    const std::string who = "revision " + in_.desired->revision.substr(0, 12);
    if (observed_.restart.verdict == RestartVerdict::kRestart) return who + " ended: " + observed_.restart.last_reason;
    if (!MainRuns(*wanted)) return who + " starts";
    return who + " runs" + (wanted->probe.message.empty() ? "" : ", but: " + wanted->probe.message);
  }
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
    const RestartState& restart = restart_;
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
  ProbeState probe_ = observed_.probe;  // of what serves
  RestartState restart_ = observed_.restart;
  bool sleeps_ = false;
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
    // The newest spec is what people ask about, also while the one before is back in force.
    const DesiredServer& newest = input.newest != nullptr ? *input.newest : *input.desired;
    status.uid = newest.uid;
    status.observed_generation = newest.generation;
    status.revision = newest.revision;
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
  if (std::optional<Verdict> pinned = builder.ToolsPinned()) {
    parts.emplace_back("ToolsPinned", *std::move(pinned));
  } else {
    std::erase_if(status.conditions, [](const Condition& condition) { return condition.type == "ToolsPinned"; });
  }
  if (input.endpoint || input.exposure) {
    parts.emplace_back("Exposed", builder.Exposed());
    if (input.endpoint) status.endpoint = builder.HasEndpoint() ? builder.Endpoint() : "";
  }
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
  builder.FillFindings(&status);
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
