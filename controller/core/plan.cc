#include "controller/core/plan.h"

#include <algorithm>
#include <set>
#include <type_traits>

namespace mcpfleet {
namespace {

using Phase = MainState::Phase;

// "Verify x" and so on for the actions that name only an instance.
struct Describe {
  std::string operator()(const PullArtifact& a) const { return a.previous ? "PullArtifact previous" : "PullArtifact"; }
  std::string operator()(const CreateInstance& a) const { return "CreateInstance " + a.instance; }
  std::string operator()(const StartInstance& a) const { return "StartInstance " + a.instance; }
  std::string operator()(const ExpectShim& a) const { return "ExpectShim " + a.instance; }
  std::string operator()(const StartMain& a) const { return "StartMain " + a.instance; }
  std::string operator()(const StopMain& a) const {
    return "StopMain " + a.instance + (a.restart_reason.empty() ? "" : " " + a.restart_reason);
  }
  std::string operator()(const StopInstance& a) const {
    return "StopInstance " + a.instance + (a.restart_reason.empty() ? "" : " " + a.restart_reason);
  }
  std::string operator()(const RemoveInstance& a) const { return "RemoveInstance " + a.instance; }
  std::string operator()(const ForgetInstance& a) const { return "ForgetInstance " + a.instance; }
  std::string operator()(const Verify& a) const { return "Verify " + a.instance; }
  std::string operator()(const Ping& a) const { return "Ping " + a.instance; }
  std::string operator()(const BeginDrain& a) const { return "BeginDrain " + a.instance; }
  std::string operator()(const ResumeOld& a) const { return "ResumeOld " + a.instance; }
  std::string operator()(const BeginRollout&) const { return "BeginRollout"; }
  std::string operator()(const UndoRollout&) const { return "UndoRollout"; }
  std::string operator()(const GoToSleep& a) const { return "GoToSleep " + a.instance; }
  std::string operator()(const WakeUp&) const { return "WakeUp"; }
  std::string operator()(const Also&) const { return "Also"; }
  std::string operator()(const WaitUntil& a) const { return "WaitUntil " + a.why; }
};

bool Better(const InstanceView& a, const InstanceView& b) {
  const bool a_runs = a.report.state == InstanceState::kRunning, b_runs = b.report.state == InstanceState::kRunning;
  if (a_runs != b_runs) return a_runs;
  if (a.report.created_at != b.report.created_at) return a.report.created_at > b.report.created_at;
  return a.report.id < b.report.id;
}

// Of all, whatever their revision: what a server is left with that is not wanted any more.
const InstanceView* AnyInstance(const Observed& observed) {
  const InstanceView* best = nullptr;
  for (const InstanceView& instance : observed.instances) {
    const auto rank = [](const InstanceView& i) { return (i.draining_since ? 0 : 2) + (i.probe.verified ? 1 : 0); };
    if (best == nullptr || rank(instance) > rank(*best) || (rank(instance) == rank(*best) && Better(instance, *best))) {
      best = &instance;
    }
  }
  return best;
}

// A shim that never came, or stays away.
bool ShimIsAway(const InstanceView& instance, MonoTime now) {
  return instance.report.shim && instance.expected && !instance.connected &&
         now >= instance.expected_at + kShimConnectTimeout;
}

// It was not asked since it runs, or since this mcplet does.
bool NotAskedYet(const InstanceView& instance, MonoTime now) {
  if (instance.report.state != InstanceState::kRunning) return false;
  if (instance.report.shim && !instance.connected) return !ShimIsAway(instance, now);
  return MainRuns(instance) && !instance.probe.handshake && instance.probe.startup_failures == 0;
}

class Planner {
 public:
  Planner(const DesiredServer* desired, const Observed& observed, MonoTime now)
      : desired_(desired), observed_(observed), now_(now) {}

  std::vector<Action> Run() {
    if (desired_ == nullptr) {
      // Absent from a state that may still lack keys is no news; what runs goes on.
      if (observed_.removals_allowed) DrainAll();
    } else if (OnHold(*desired_)) {
      FinishDrains();
      Next();
      Hold();
    } else if (desired_->spec.suspend) {
      DrainAll();
    } else if (IsRemote(*desired_)) {
      DrainAll();
      Probe(observed_.probe, "", desired_->spec, false);
    } else {
      Converge();
      if (!RuntimeUsable()) Wait(observed_.runtime_retry_at, "runtime");
    }
    if (!actions_.empty() && std::holds_alternative<Also>(actions_.back())) actions_.pop_back();
    return std::move(actions_);
  }

 private:
  template <typename T>
  void Do(T action) {
    actions_.emplace_back(std::move(action));
  }
  void Wait(MonoTime when, std::string why) {
    if (when != MonoTime::max()) Do(WaitUntil{when, std::move(why)});
  }
  // What follows is about something else.
  void Next() {
    if (!actions_.empty() && !std::holds_alternative<Also>(actions_.back())) Do(Also{});
  }
  bool RuntimeUsable() const { return observed_.runtime_reason.empty(); }
  Duration Grace() const {
    return desired_ != nullptr && !OnHold(*desired_) ? desired_->spec.termination_grace : observed_.grace;
  }

  void Drain(const InstanceView& instance) {
    const InstanceReport& report = instance.report;
    if (!drained_.insert(&instance).second) return;
    if (report.state == InstanceState::kRunning) {
      const bool main_runs = instance.main.phase == Phase::kRunning || instance.main.phase == Phase::kStarting;
      if (report.shim && instance.connected && main_runs) Do(StopMain{report.id, Grace(), "", "", false});
      Do(StopInstance{report.id, report.runtime, Grace(), "", ""});
    }
    Do(RemoveInstance{report.id, report.runtime});
    Do(ForgetInstance{report.id});
  }

  void DrainAll() {
    for (const InstanceView& instance : observed_.instances) Drain(instance);
  }

  // What runs stays as it is, with the spec that it was created from when that is known.
  void Hold() {
    const InstanceView* serving = AnyInstance(observed_);
    if (serving != nullptr && !serving->draining_since) KeepOld(*serving);
  }

  // An instance that is not what is wanted now, but all there is: it serves until what is wanted is ready.
  void KeepOld(const InstanceView& old) {
    if (old.report.state != InstanceState::kRunning) return;
    if (observed_.previous != nullptr) {
      Serve(old, *observed_.previous, true);
    } else if (old.report.shim && !old.expected) {
      // Nobody knows how to ask it, but its conversations can go on.
      Do(ExpectShim{old.report.id, old.report.pid});
    }
  }

  // Whether the wanted revision may run beside this instance.
  bool Rolls(const InstanceReport& old) const {
    if (OnHold(*desired_)) return true;
    // Made again under the same name it is another server, which does not inherit clients.
    const bool same_object = old.uid == desired_->uid || old.uid.empty() || desired_->uid.empty();
    return same_object && UpdateTypeOf(desired_->spec) == UpdateType::kRollingUpdate;
  }

  // Whether what drains is all that clients have, and why: the wanted instance is gone or has ceased to answer. One
  // that is being asked, or whose shim is about to tell of it, may yet answer.
  enum class Successor { kAnswers, kMayYet, kNone };
  Successor FindSuccessor() const {
    if (OnHold(*desired_) || OldInstance(*desired_, observed_) != nullptr) return Successor::kAnswers;
    const InstanceView* wanted = WantedInstance(*desired_, observed_);
    if (wanted == nullptr || wanted->report.state != InstanceState::kRunning) return Successor::kNone;
    if (wanted->probe.verified) return Successor::kAnswers;
    const bool unknown = wanted->report.shim && !wanted->connected && !ShimIsAway(*wanted, now_);
    const bool asked = wanted->main.phase == Phase::kStarting || (MainRuns(*wanted) && !wanted->probe.handshake);
    return unknown || asked ? Successor::kMayYet : Successor::kNone;
  }

  void FinishDrains() {
    const Successor successor = FindSuccessor();
    for (const InstanceView& instance : observed_.instances) {
      if (!instance.draining_since) continue;
      const InstanceReport& report = instance.report;
      const MonoTime settled = *instance.draining_since + kSettle;
      const MonoTime end =
          instance.conversations == 0 ? settled : std::max(settled, *instance.draining_since + observed_.drain_timeout);
      const bool lost = report.state != InstanceState::kRunning || ShimIsAway(instance, now_);
      const bool last = successor != Successor::kAnswers && Rolls(report);
      if (lost || (now_ >= end && !last)) {
        Drain(instance);
        continue;
      }
      // Its conversations outlive mcplet only when their shim is expected.
      if (report.shim && !instance.expected) Do(ExpectShim{report.id, report.pid});
      if (last && successor == Successor::kNone) Do(ResumeOld{report.id});
      if (now_ < end) Wait(end, "drain");
    }
  }

  // Ends everything but these and what may finish its conversations beside them.
  void DrainAllBut(const InstanceView* a, const InstanceView* b) {
    for (const InstanceView& instance : observed_.instances) {
      const bool finishes = instance.draining_since && Rolls(instance.report);
      if (&instance != a && &instance != b && !finishes) Drain(instance);
    }
  }

  void Converge() {
    FinishDrains();
    Next();
    if (Rest()) return;
    const InstanceView* wanted = WantedInstance(*desired_, observed_);
    const InstanceView* old = OldInstance(*desired_, observed_);
    if (old != nullptr && !Rolls(old->report)) old = nullptr;
    if (old != nullptr) {
      // Whatever becomes of the new revision, the old one is looked after.
      KeepOld(*old);
      Next();
    }
    if (EndExtra(wanted, old)) return;
    if (observed_.rollout && Undo(wanted)) return;
    if (wanted == nullptr) {
      Replace(old);
      return;
    }
    // An instance of another revision must be gone before this one runs, unless both were meant to: two servers over
    // one state would corrupt it.
    DrainAllBut(wanted, old);
    if (old != nullptr && wanted->probe.verified) {
      Do(BeginDrain{old->report.id});
    } else if (old != nullptr && !observed_.rollout) {
      Do(BeginRollout{});
    }
    switch (wanted->report.state) {
      case InstanceState::kCreated:
        if (!StartsNow()) return;
        if (wanted->failed_starts >= kStartsOfOneInstance) {
          if (!HaveArtifact() || !RuntimeUsable()) return;
          Drain(*wanted);
          Create();
          return;
        }
        if (RuntimeUsable()) Do(StartInstance{wanted->report.id, wanted->report.runtime});
        return;
      case InstanceState::kExited:
        if (!StartsNow() || !HaveArtifact()) return;
        Drain(*wanted);
        Create();
        return;
      case InstanceState::kRunning:
        Serve(*wanted, *desired_, false);
        return;
    }
  }

  // A third revision finishes its conversations if it has any. True when it begins to.
  bool EndExtra(const InstanceView* wanted, const InstanceView* old) {
    bool begun = false;
    for (const InstanceView& instance : observed_.instances) {
      const bool runs = instance.report.state == InstanceState::kRunning;
      if (&instance == wanted || &instance == old || !runs || instance.draining_since) continue;
      if (instance.conversations == 0 || !Rolls(instance.report)) continue;
      Do(BeginDrain{instance.report.id});
      begun = true;
    }
    return begun;
  }

  // Nothing of the wanted revision is there. `beside`: what goes on next to it; null when nothing may.
  void Replace(const InstanceView* beside) {
    if (!StartsNow()) {
      // The wanted revision had its time, and its policy ended it: an old one that comes to light is a leftover.
      const RestartVerdict verdict = observed_.restart.VerdictOn(desired_->revision);
      if (verdict != RestartVerdict::kRestart && !observed_.rollout) DrainAllBut(nullptr, nullptr);
      return;
    }
    if (!HaveArtifact()) {
      const InstanceView* old = OldInstance(*desired_, observed_);
      if (beside == nullptr && old != nullptr) KeepOld(*old);
      return;
    }
    if (!RuntimeUsable()) return;
    // Two at most: what drains goes before a third one comes.
    const bool draining = std::any_of(observed_.instances.begin(), observed_.instances.end(),
                                      [](const InstanceView& i) { return i.draining_since.has_value(); });
    if (beside != nullptr && draining) return;
    DrainAllBut(beside, nullptr);
    if (beside != nullptr && !observed_.rollout) Do(BeginRollout{});
    Create();
  }

  // True when the roll-out has failed and is taken back.
  bool Undo(const InstanceView* wanted) {
    const UpdateStrategy& strategy = desired_->spec.update_strategy;
    const RolloutState& rollout = *observed_.rollout;
    const std::string failure = RolloutFailure(*desired_, observed_, now_);
    if (failure.empty()) {
      const MonoTime deadline = rollout.since + strategy.progress_deadline;
      if (now_ < deadline) Wait(deadline, "progress deadline");  // later the answer wakes the server
      return false;
    }
    // An old revision that did not work either is nothing to go back to.
    if (!strategy.auto_rollback || rollout.before == nullptr || !rollout.old_was_good) return false;
    if (wanted != nullptr) Drain(*wanted);
    Do(UndoRollout{failure});
    return true;
  }

  // True when it sleeps, or will, or just ceases to: nothing else is to be done now.
  bool Rest() {
    const Activation& activation = desired_->spec.activation;
    const SleepState& sleep = observed_.sleep;
    const bool on_demand = activation.mode == ActivationMode::kOnDemand && observed_.traffic;
    const InstanceView* wanted = WantedInstance(*desired_, observed_);
    if (sleep.phase == SleepState::Phase::kAsleep) {
      // A changed spec is tried out at once, from the state that an awake server would be in.
      const bool same = sleep.uid == desired_->uid && sleep.generation == desired_->generation &&
                        sleep.revision == desired_->revision;
      const bool in_use = std::any_of(observed_.instances.begin(), observed_.instances.end(),
                                      [](const InstanceView& i) { return i.conversations > 0; });
      const bool asked = in_use || (observed_.last_used && *observed_.last_used >= sleep.since);
      if (on_demand && same && !asked) {
        StayAsleep(wanted);
      } else {
        Do(WakeUp{});
      }
      return true;
    }
    if (!on_demand || wanted == nullptr || !wanted->probe.verified) return false;
    // What can't be started again must not be stopped.
    if (observed_.artifact.phase != ArtifactState::Phase::kReady) return false;
    // The end of its last conversation is a reason to look again.
    if (observed_.instances.size() != 1 || wanted->conversations > 0) return false;
    const MonoTime idle_since =
        std::max({wanted->probe.verified_at, sleep.since, observed_.last_used.value_or(MonoTime::min())});
    const MonoTime bedtime = idle_since + activation.idle_after;
    if (now_ < bedtime) {
      Wait(bedtime, "idle");
      return false;
    }
    Do(GoToSleep{wanted->report.id});
    return true;
  }

  void StayAsleep(const InstanceView* wanted) {
    const MonoTime settled = observed_.sleep.since + kSettle;
    if (now_ < settled) {
      Wait(settled, "sleep");
      return;
    }
    for (const InstanceView& instance : observed_.instances) {
      const InstanceReport& report = instance.report;
      if (instance.draining_since) continue;
      const bool stays = &instance == wanted && report.shim && report.state == InstanceState::kRunning;
      if (!stays || ShimIsAway(instance, now_)) {
        Drain(instance);
      } else if (!instance.expected) {
        Do(ExpectShim{report.id, report.pid});
      } else if (!instance.connected) {
        Wait(instance.expected_at + kShimConnectTimeout, "shim");
      } else if (instance.main.phase == Phase::kRunning || instance.main.phase == Phase::kStarting) {
        Do(StopMain{report.id, Grace(), "", "", true});
      }
    }
    // A new mcplet looks for it now, not when a client waits.
    (void)HaveArtifact();
  }

  void Create() {
    Do(CreateInstance{observed_.new_instance});
    Do(StartInstance{observed_.new_instance, observed_.runtime});
  }

  // False while the back-off of this revision runs or when its policy ended it.
  bool StartsNow() { return StartsNow(observed_.restart, desired_->revision); }
  bool StartsNow(const RestartState& restart, const std::string& revision) {
    if (restart.Due(revision, now_)) return true;
    if (restart.verdict == RestartVerdict::kRestart) Wait(restart.next_attempt, "back-off");
    return false;
  }

  bool HaveArtifact() { return RuntimeUsable() && HaveArtifact(observed_.artifact, false); }
  bool HaveArtifact(const ArtifactState& artifact, bool previous) {
    switch (artifact.phase) {
      case ArtifactState::Phase::kReady:
        return true;
      case ArtifactState::Phase::kPulling:
        return false;  // its result wakes the server
      case ArtifactState::Phase::kAbsent:
        Do(PullArtifact{previous});
        return false;
      case ArtifactState::Phase::kFailed:
        if (artifact.retry_at <= now_) {
          Do(PullArtifact{previous});
        } else {
          Wait(artifact.retry_at, "pull back-off");
        }
        return false;
    }
    return false;
  }

  // A running instance: its shim, its main child, its probes.
  void Serve(const InstanceView& instance, const DesiredServer& server, bool previous) {
    const std::string& id = instance.report.id;
    if (!instance.report.shim) {
      if (instance.report.attached.empty() || instance.connected) {
        Probe(instance.probe, id, server.spec, true);
      } else {
        Reattach(instance, previous);
      }
      return;
    }
    if (!instance.expected) {
      Do(ExpectShim{id, instance.report.pid});
      return;
    }
    if (!instance.connected) {
      AwaitShim(instance);
      return;
    }
    switch (instance.main.phase) {
      case Phase::kAbsent:
      case Phase::kExited:
        StartMainOf(instance, server.revision, previous);
        return;
      case Phase::kStarting: {
        const MonoTime give_up = instance.main.since + server.spec.probes.startup_timeout;
        if (now_ < give_up) {
          Wait(give_up, "start of the main child");
        } else {
          Do(StopMain{id, server.spec.termination_grace, "StartupTimeout", "the main child did not start", false});
        }
        return;
      }
      case Phase::kRunning:
        // What was adopted must be able to start again without the network: its artifact is asked for now, not then,
        // and again when that failed.
        if (!previous) (void)HaveArtifact();
        if (previous) (void)HaveArtifact(observed_.previous_artifact, true);
        // What can't be started again is not restarted.
        Probe(instance.probe, id, server.spec,
              !previous || observed_.previous_artifact.phase == ArtifactState::Phase::kReady);
        return;
    }
  }

  void StartMainOf(const InstanceView& instance, const std::string& revision, bool previous) {
    if (!StartsNow(previous ? instance.restart : observed_.restart, revision)) return;
    // Without its artifact its argv is unknown.
    const bool known = previous ? HaveArtifact(observed_.previous_artifact, true) : HaveArtifact();
    if (known) Do(StartMain{instance.report.id, previous});
  }

  // One session per attached instance: a new one needs a new instance.
  void Reattach(const InstanceView& instance, bool previous) {
    if (SessionLost(instance)) {
      // That mcplet was restarted is no fault of the server: no back-off, nothing is counted. An old revision is not
      // made again; it goes when the wanted one can come.
      if (previous || !HaveArtifact()) return;
      Drain(instance);
      Create();
      return;
    }
    // Mostly the server has ended and its runtime says so in a moment.
    const MonoTime give_up = instance.main.since + kAttachPatience;
    if (now_ < give_up) {
      Wait(give_up, "end of an attached instance");
      return;
    }
    const InstanceReport& report = instance.report;
    Do(StopInstance{report.id, report.runtime, Grace(), "AttachLost",
                    instance.main.failure.empty() ? "the engine closed the connection to a running server"
                                                  : instance.main.failure});
    Do(RemoveInstance{report.id, report.runtime});
    Do(ForgetInstance{report.id});
  }

  void AwaitShim(const InstanceView& instance) {
    const MonoTime give_up = instance.expected_at + kShimConnectTimeout;
    if (now_ < give_up) {
      Wait(give_up, "shim");
      return;
    }
    const InstanceReport& report = instance.report;
    Do(StopInstance{report.id, report.runtime, Grace(), "ShimLost",
                    "the shim did not connect within " + FormatDuration(kShimConnectTimeout)});
    Do(RemoveInstance{report.id, report.runtime});
    Do(ForgetInstance{report.id});
  }

  void Probe(const ProbeState& probe, const std::string& id, const ServerSpec& spec, bool restartable) {
    ProbeDecision decision = NextProbe(probe, spec.probes, restartable, now_);
    switch (decision.what) {
      case ProbeDecision::What::kWait:
        Wait(decision.when, "probe");
        return;
      case ProbeDecision::What::kVerify:
        Do(Verify{id, !probe.handshake});
        return;
      case ProbeDecision::What::kPing:
        Do(Ping{id});
        return;
      case ProbeDecision::What::kRestart:
        Restart(id, spec, decision);
        return;
    }
  }

  void Restart(const std::string& id, const ServerSpec& spec, const ProbeDecision& decision) {
    for (const InstanceView& instance : observed_.instances) {
      if (instance.report.id != id) continue;
      if (instance.report.shim) {
        Do(StopMain{id, spec.termination_grace, decision.reason, decision.message, false});
      } else {
        Do(StopInstance{id, instance.report.runtime, spec.termination_grace, decision.reason, decision.message});
      }
    }
  }

  const DesiredServer* desired_;
  const Observed& observed_;
  MonoTime now_;
  std::vector<Action> actions_;
  std::set<const InstanceView*> drained_;
};

}  // namespace

std::string ToString(const Action& action) { return std::visit(Describe{}, action); }

bool Matches(const InstanceReport& report, const DesiredServer& desired) {
  // Deleted and made again under the same name is another server, whatever its spec.
  const bool same_object = report.uid == desired.uid || report.uid.empty() || desired.uid.empty();
  return same_object && report.revision == desired.revision;
}

const InstanceView* FindInstance(const Observed& observed, const std::string& instance) {
  for (const InstanceView& view : observed.instances) {
    if (view.report.id == instance) return &view;
  }
  return nullptr;
}

const InstanceView* WantedInstance(const DesiredServer& desired, const Observed& observed) {
  const InstanceView* best = nullptr;
  for (const InstanceView& instance : observed.instances) {
    if (!Matches(instance.report, desired)) continue;
    if (best == nullptr || Better(instance, *best)) best = &instance;
  }
  return best;
}

const InstanceView* OldInstance(const DesiredServer& desired, const Observed& observed) {
  const InstanceView* best = nullptr;
  for (const InstanceView& instance : observed.instances) {
    if (Matches(instance.report, desired) || instance.draining_since) continue;
    if (instance.report.state != InstanceState::kRunning) continue;
    const bool better = best == nullptr || (instance.probe.verified && !best->probe.verified) ||
                        (instance.probe.verified == best->probe.verified && Better(*best, instance));
    if (better) best = &instance;
  }
  return best;
}

const InstanceView* ServingInstance(const DesiredServer* desired, const Observed& observed) {
  if (desired == nullptr || OnHold(*desired)) return AnyInstance(observed);
  const InstanceView* wanted = WantedInstance(*desired, observed);
  const InstanceView* old = OldInstance(*desired, observed);
  if (wanted != nullptr && (old == nullptr || wanted->probe.verified)) return wanted;
  return old != nullptr ? old : AnyInstance(observed);
}

std::vector<const InstanceView*> TendedInstances(const DesiredServer* desired, const Observed& observed) {
  std::vector<const InstanceView*> tended;
  if (desired != nullptr && !OnHold(*desired)) {
    for (const InstanceView* instance : {WantedInstance(*desired, observed), OldInstance(*desired, observed)}) {
      if (instance != nullptr) tended.push_back(instance);
    }
  }
  const InstanceView* any = AnyInstance(observed);
  if (tended.empty() && any != nullptr && !any->draining_since) tended.push_back(any);
  return tended;
}

std::string RolloutFailure(const DesiredServer& desired, const Observed& observed, MonoTime now) {
  if (!observed.rollout) return "";
  const InstanceView* wanted = WantedInstance(desired, observed);
  if (wanted != nullptr && wanted->probe.verified) return "";
  const RestartState& restart = observed.restart;
  const RestartVerdict verdict = restart.VerdictOn(desired.revision);
  const bool over = verdict == RestartVerdict::kFailed || verdict == RestartVerdict::kCompleted;
  const Duration deadline = desired.spec.update_strategy.progress_deadline;
  if (!over && now < observed.rollout->since + deadline) return "";
  // A mcplet that was away, or busy, does not condemn what it has not asked.
  if (!over && restart.attempts == 0 && wanted != nullptr && NotAskedYet(*wanted, now)) return "";
  std::string text = "revision " + desired.revision.substr(0, 12) +
                     (over ? " ended and its restartPolicy does not restart it"
                           : " did not answer over MCP within " + FormatDuration(deadline));
  if (!restart.last_reason.empty() && restart.revision == desired.revision) {
    text += "; it ended: " + restart.last_reason + (restart.message.empty() ? "" : ", " + restart.message);
  } else if (wanted != nullptr && !wanted->probe.message.empty()) {
    text += ": " + wanted->probe.message;
  }
  return text;
}

bool Sleeps(const DesiredServer& desired, const Observed& observed) {
  if (OnHold(desired) || desired.spec.suspend) return false;
  switch (observed.sleep.phase) {
    case SleepState::Phase::kAwake:
      return false;
    case SleepState::Phase::kAsleep:
      return true;
    case SleepState::Phase::kWaking:
      break;
  }
  return observed.restart.attempts == 0 && observed.restart.verdict == RestartVerdict::kNone &&
         observed.artifact.phase != ArtifactState::Phase::kFailed && observed.runtime_reason.empty();
}

bool OnHold(const DesiredServer& desired) {
  if (!desired.rejected_reason.empty() || (desired.pending && desired.revision.empty())) return true;
  // To stop a server takes none of its secrets.
  return !desired.unresolved_reason.empty() && !desired.spec.suspend;
}

bool IsRemote(const DesiredServer& desired) { return std::holds_alternative<RemoteSource>(desired.spec.source); }

bool MainRuns(const InstanceView& instance) {
  if (instance.report.state != InstanceState::kRunning) return false;
  if (!instance.report.shim) return instance.report.attached.empty() || instance.connected;
  return instance.connected && instance.main.phase == Phase::kRunning;
}

bool SessionLost(const InstanceView& instance) {
  const bool was_started = instance.report.state != InstanceState::kCreated;
  return !instance.report.attached.empty() && was_started && instance.main.phase == Phase::kAbsent;
}

std::vector<Action> Plan(const DesiredServer* desired, const Observed& observed, MonoTime now) {
  return Planner(desired, observed, now).Run();
}

}  // namespace mcpfleet
