#include "controller/core/plan.h"

#include <algorithm>
#include <type_traits>

namespace mcpfleet {
namespace {

using Phase = MainState::Phase;

// "Verify x" and so on for the actions that name only an instance.
struct Describe {
  std::string operator()(const PullArtifact&) const { return "PullArtifact"; }
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
  std::string operator()(const WaitUntil& a) const { return "WaitUntil " + a.why; }
};

bool Better(const InstanceView& a, const InstanceView& b) {
  const bool a_runs = a.report.state == InstanceState::kRunning, b_runs = b.report.state == InstanceState::kRunning;
  if (a_runs != b_runs) return a_runs;
  if (a.report.created_at != b.report.created_at) return a.report.created_at > b.report.created_at;
  return a.report.id < b.report.id;
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
      Hold();
    } else if (desired_->spec.suspend) {
      DrainAll();
    } else if (IsRemote(*desired_)) {
      DrainAll();
      Probe("", desired_->spec, false);
    } else {
      Converge();
      if (!RuntimeUsable()) Wait(observed_.runtime_retry_at, "runtime");
    }
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
  bool RuntimeUsable() const { return observed_.runtime_reason.empty(); }
  Duration Grace() const {
    return desired_ != nullptr && !OnHold(*desired_) ? desired_->spec.termination_grace : observed_.grace;
  }

  void Drain(const InstanceView& instance) {
    const InstanceReport& report = instance.report;
    if (report.state == InstanceState::kRunning) {
      const bool main_runs = instance.main.phase == Phase::kRunning || instance.main.phase == Phase::kStarting;
      if (report.shim && instance.connected && main_runs) Do(StopMain{report.id, Grace(), "", ""});
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
    const InstanceView* serving = ServingInstance(nullptr, observed_);
    if (serving != nullptr) KeepOld(*serving);
  }

  // An instance that is not what is wanted now, but all there is: it serves until what is wanted is ready.
  void KeepOld(const InstanceView& old) {
    if (observed_.previous == nullptr || old.report.state != InstanceState::kRunning) return;
    Serve(old, *observed_.previous, true);
  }

  void Converge() {
    const InstanceView* keep = ServingInstance(desired_, observed_);
    if (keep != nullptr && !Matches(keep->report, *desired_)) keep = nullptr;
    if (keep == nullptr) {
      Replace();
      return;
    }
    // An instance of another revision must be gone before this one runs: two servers over one state would corrupt it.
    for (const InstanceView& instance : observed_.instances) {
      if (&instance != keep) Drain(instance);
    }
    switch (keep->report.state) {
      case InstanceState::kCreated:
        if (!StartsNow(desired_->revision)) return;
        if (keep->failed_starts >= kStartsOfOneInstance) {
          if (!HaveArtifact() || !RuntimeUsable()) return;
          Drain(*keep);
          Create();
          return;
        }
        if (RuntimeUsable()) Do(StartInstance{keep->report.id, keep->report.runtime});
        return;
      case InstanceState::kExited:
        if (!StartsNow(desired_->revision) || !HaveArtifact()) return;
        Drain(*keep);
        Create();
        return;
      case InstanceState::kRunning:
        Serve(*keep, *desired_, false);
        return;
    }
  }

  // Nothing of the wanted revision is there.
  void Replace() {
    if (!StartsNow(desired_->revision)) return;
    if (!HaveArtifact()) {
      const InstanceView* old = ServingInstance(nullptr, observed_);
      if (old != nullptr) KeepOld(*old);
      return;
    }
    if (!RuntimeUsable()) return;
    DrainAll();
    Create();
  }

  void Create() {
    Do(CreateInstance{observed_.new_instance});
    Do(StartInstance{observed_.new_instance, observed_.runtime});
  }

  // False while the back-off of this revision runs or when its policy ended it.
  bool StartsNow(const std::string& revision) {
    const RestartState& restart = observed_.restart;
    if (restart.Due(revision, now_)) return true;
    if (restart.verdict == RestartVerdict::kRestart) Wait(restart.next_attempt, "back-off");
    return false;
  }

  bool HaveArtifact() {
    if (!RuntimeUsable()) return false;
    const ArtifactState& artifact = observed_.artifact;
    switch (artifact.phase) {
      case ArtifactState::Phase::kReady:
        return true;
      case ArtifactState::Phase::kPulling:
        return false;  // its result wakes the server
      case ArtifactState::Phase::kAbsent:
        Do(PullArtifact{});
        return false;
      case ArtifactState::Phase::kFailed:
        if (artifact.retry_at <= now_) {
          Do(PullArtifact{});
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
        Probe(id, server.spec, true);
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
        StartMainOf(id, server.revision, previous);
        return;
      case Phase::kStarting: {
        const MonoTime give_up = instance.main.since + server.spec.probes.startup_timeout;
        if (now_ < give_up) {
          Wait(give_up, "start of the main child");
        } else {
          Do(StopMain{id, server.spec.termination_grace, "StartupTimeout", "the main child did not start"});
        }
        return;
      }
      case Phase::kRunning:
        // What was adopted must be able to start again without the network: its artifact is asked for now, not then,
        // and again when that failed.
        if (!previous) (void)HaveArtifact();
        // What can't be started again is not restarted.
        Probe(id, server.spec, !previous || observed_.previous_artifact.phase == ArtifactState::Phase::kReady);
        return;
    }
  }

  void StartMainOf(const std::string& id, const std::string& revision, bool previous) {
    if (!StartsNow(revision)) return;
    if (previous) {
      // Without its artifact its argv is unknown: it stays down until the wanted revision is ready.
      if (observed_.previous_artifact.phase == ArtifactState::Phase::kReady) Do(StartMain{id, true});
      return;
    }
    if (HaveArtifact()) Do(StartMain{id, false});
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

  void Probe(const std::string& id, const ServerSpec& spec, bool restartable) {
    ProbeDecision decision = NextProbe(observed_.probe, spec.probes, restartable, now_);
    switch (decision.what) {
      case ProbeDecision::What::kWait:
        Wait(decision.when, "probe");
        return;
      case ProbeDecision::What::kVerify:
        Do(Verify{id, !observed_.probe.handshake});
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
        Do(StopMain{id, spec.termination_grace, decision.reason, decision.message});
      } else {
        Do(StopInstance{id, instance.report.runtime, spec.termination_grace, decision.reason, decision.message});
      }
    }
  }

  const DesiredServer* desired_;
  const Observed& observed_;
  MonoTime now_;
  std::vector<Action> actions_;
};

}  // namespace

std::string ToString(const Action& action) { return std::visit(Describe{}, action); }

bool Matches(const InstanceReport& report, const DesiredServer& desired) {
  // Deleted and made again under the same name is another server, whatever its spec.
  const bool same_object = report.uid == desired.uid || report.uid.empty() || desired.uid.empty();
  return same_object && report.revision == desired.revision;
}

const InstanceView* ServingInstance(const DesiredServer* desired, const Observed& observed) {
  const InstanceView* best = nullptr;
  bool best_matches = false;
  for (const InstanceView& instance : observed.instances) {
    const bool matches = desired != nullptr && Matches(instance.report, *desired);
    if (best == nullptr || (matches && !best_matches) || (matches == best_matches && Better(instance, *best))) {
      best = &instance;
      best_matches = matches;
    }
  }
  return best;
}

bool OnHold(const DesiredServer& desired) {
  return !desired.rejected_reason.empty() || (desired.pending && desired.revision.empty());
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
