// Carrying out what was planned for a server: at once by the executor, pulls and probes by threads of their own.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "controller/core/server_reconciler.h"

namespace mcpfleet {
namespace {

// A restart that mcplet asks for: which instance, and why.
struct RestartAsked {
  std::string instance, reason, message;
};
std::optional<RestartAsked> AskedRestart(const Action& action) {
  if (const auto* stop = std::get_if<StopMain>(&action); stop != nullptr && !stop->restart_reason.empty()) {
    return RestartAsked{stop->instance, stop->restart_reason, stop->message};
  }
  if (const auto* stop = std::get_if<StopInstance>(&action); stop != nullptr && !stop->restart_reason.empty()) {
    return RestartAsked{stop->instance, stop->restart_reason, stop->message};
  }
  return std::nullopt;
}

// The instance whose state an action changes, and where it is.
std::optional<std::pair<RuntimeKind, std::string>> Touches(const Action& action, RuntimeKind desired) {
  if (const auto* a = std::get_if<CreateInstance>(&action)) return std::pair(desired, a->instance);
  if (const auto* a = std::get_if<StartInstance>(&action)) return std::pair(a->runtime, a->instance);
  if (const auto* a = std::get_if<StopInstance>(&action)) return std::pair(a->runtime, a->instance);
  if (const auto* a = std::get_if<RemoveInstance>(&action)) return std::pair(a->runtime, a->instance);
  return std::nullopt;
}

std::string InstanceOf(const Action& action) {
  if (const auto* a = std::get_if<StopInstance>(&action)) return a->instance;
  if (const auto* a = std::get_if<RemoveInstance>(&action)) return a->instance;
  return "";
}

// "CreateFailed" and so on: the first word of the action.
std::string FailureReason(const Action& action) {
  std::string name = ToString(action);
  name = name.substr(0, name.find(' '));
  for (const char* suffix : {"Instance", "Main", "Shim"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - std::string_view(suffix).size());
  }
  return name + "Failed";
}

}  // namespace

Status ServerReconciler::Run(const ServerKey& key, ServerRecord* record, const Look& look, const Action& action) {
  if (const auto* pull = std::get_if<PullArtifact>(&action)) {
    BeginPull(key, record, look, pull->previous);
    return OkStatus();
  }
  if (const auto* verify = std::get_if<Verify>(&action)) {
    BeginProbe(key, record, look, ProbeKind::kVerify, verify->instance);
    return OkStatus();
  }
  if (const auto* ping = std::get_if<Ping>(&action)) {
    BeginProbe(key, record, look, ProbeKind::kPing, ping->instance);
    return OkStatus();
  }
  if (Remember(key, record, look, action)) return OkStatus();
  const auto touched = Touches(action, look.observed.runtime);
  const std::optional<RestartAsked> restart = AskedRestart(action);
  if (const std::string id = InstanceOf(action); !id.empty()) record->leaving.insert(id);
  const Duration healthy_for =
      restart ? HealthyFor(record->instances[restart->instance].probe, w_.deps.clock.Now()) : Duration::zero();
  // They may end before the next look.
  if (const auto* start = std::get_if<StartInstance>(&action)) record->instances[start->instance].ran = true;
  if (const auto* start = std::get_if<StartMain>(&action)) record->instances[start->instance].ran = true;
  Status status;
  {
    std::optional<InstanceCache::OwnChange> own;
    if (touched) own.emplace(w_.cache, touched->second);
    status = executor_.Execute(action, {key, look.desired.get(), &look.observed});
  }
  // Also a failed call may have had its effect.
  if (touched) record->look_after[*touched] = w_.cache.Mark();
  if (const auto* start = std::get_if<StartInstance>(&action)) {
    if (status.ok()) {
      record->failed_starts.erase(start->instance);
    } else {
      ++record->failed_starts[start->instance];
    }
  }
  if (!status.ok()) {
    LOG_WARNING("action failed", {{"server", ToString(key)}, {"action", ToString(action)}, {"error", status}});
    record->failure = {FailureReason(action), Printable(Message(status), 1024)};
    w_.deps.events.Record(key, "Warning", record->failure.reason, record->failure.message);
    return status;
  }
  record->failure = ActionFailure{};
  if (restart) {
    ExitCause cause;
    cause.reason = restart->reason;
    cause.message = restart->message;
    cause.forced = true;
    cause.healthy_for = healthy_for;
    const InstanceView* view = FindInstance(look.observed, restart->instance);
    const std::string revision = view != nullptr ? view->report.revision : record->current->revision;
    std::shared_ptr<const DesiredServer> by = SpecOf(*record, revision);
    if (by == nullptr) by = record->current;
    RestartState& state = record->revisions[revision].restart;
    RecordExit(by->spec.restart_policy, cause, w_.deps.clock.Now(), w_.deps.clock.Wall(), chance_.Next(), &state);
    state.revision = revision;
    w_.deps.metrics.Restarted(key, restart->reason);
    record->instances[restart->instance].stopped_for = restart->reason;
  }
  if (const auto* expect = std::get_if<ExpectShim>(&action)) {
    record->expected[expect->instance] = {expect->pid, w_.deps.clock.Now()};
  }
  if (const auto* start = std::get_if<StartMain>(&action)) {
    record->instances[start->instance].stopped_for.reset();
    record->instances[start->instance].accounted_exit.clear();
    w_.uses(key, (start->previous ? look.observed.previous_artifact : look.observed.artifact).artifact.digest);
  }
  return OkStatus();
}

bool ServerReconciler::Remember(const ServerKey& key, ServerRecord* record, const Look& look, const Action& action) {
  const auto event = [&](const char* type, const char* reason, const std::string& message) {
    w_.deps.events.Record(key, type, reason, message);
  };
  const auto brief = [](const std::string& revision) { return "revision " + revision.substr(0, 12); };
  if (const auto* drain = std::get_if<BeginDrain>(&action)) {
    InstanceMemory& instance = record->instances[drain->instance];
    instance.draining_since = look.now;
    instance.draining_at = w_.deps.clock.Wall();
    event("Normal", "Draining",
          "clients go to " + brief(look.desired->revision) + "; instance " + drain->instance +
              " finishes its conversations, for " + FormatDuration(look.observed.drain_timeout) + " at most");
  } else if (const auto* resume = std::get_if<ResumeOld>(&action)) {
    record->instances[resume->instance].draining_since.reset();
    event("Warning", "Resumed",
          "instance " + resume->instance + " serves again: " + brief(look.desired->revision) + " does not answer");
  } else if (std::holds_alternative<BeginRollout>(action)) {
    const InstanceView* old = OldInstance(*look.desired, look.observed);
    RolloutState state{look.now, old != nullptr && old->probe.verified, look.observed.previous};
    record->rollout = Rollout{look.desired->revision, w_.deps.clock.Wall(), std::move(state)};
    event(
        "Normal", "Updating",
        brief(look.desired->revision) + " starts beside " + (old != nullptr ? brief(old->report.revision) : "the old"));
  } else if (const auto* undo = std::get_if<UndoRollout>(&action)) {
    const std::shared_ptr<const DesiredServer> before = record->rollout->state.before;
    record->undone =
        UndoneSpec{look.newest->uid, look.newest->revision, look.newest->generation, undo->message, before};
    record->rollout.reset();
    event("Warning", "RolledBack", undo->message + "; " + brief(before->revision) + " goes on");
  } else if (const auto* sleep = std::get_if<GoToSleep>(&action)) {
    const Verification& last = record->instances[sleep->instance].probe.last;
    record->sleep = {SleepState::Phase::kAsleep, look.now, look.desired->uid, look.desired->revision,
                     look.desired->generation,   last};
    record->failure = ActionFailure{};
    event("Normal", "Sleeping",
          "nobody used it for " + FormatDuration(look.desired->spec.activation.idle_after) +
              "; the next request starts it");
  } else if (std::holds_alternative<WakeUp>(action)) {
    record->sleep.phase = SleepState::Phase::kWaking;
    record->sleep.since = look.now;
    RecordNewSpec(&record->revisions[look.desired->revision].restart);
    record->failure = ActionFailure{};
    event("Normal", "Waking", "it is started again");
  } else {
    return false;
  }
  return true;
}

void ServerReconciler::BeginPull(const ServerKey& key, ServerRecord* record, const Look& look, bool previous) {
  const std::shared_ptr<const DesiredServer> server = previous ? look.observed.previous : look.desired;
  const std::string revision = server->revision;
  ArtifactState& state = record->revisions[revision].artifact;
  auto found = w_.deps.runtimes.find(ChooseRuntime(server->spec, w_.deps.runtimes));
  if (found == w_.deps.runtimes.end()) {
    state.phase = ArtifactState::Phase::kFailed;
    state.message = "its runtime is not configured";
    state.retry_at = look.now + kPullRetryLast;
    return;
  }
  ContainerRuntime* runtime = found->second;
  state.revision = revision;
  state.phase = ArtifactState::Phase::kPulling;
  state.message = "waiting for its turn";
  w_.pulls.Submit([this, key, runtime, revision, server] {
    const MonoTime start = w_.deps.clock.Now();
    const auto progress = [&](const PullProgress& p) {
      std::string text = p.phase;
      if (p.total_bytes > 0) text += " " + std::to_string(p.done_bytes * 100 / p.total_bytes) + "%";
      w_.post(key, PullProgressed{revision, text});
    };
    const Deadline deadline = Deadline::After(w_.options.pull_timeout);
    StatusOr<RegistryCredentials> credentials = OpenPullSecret(*server);
    StatusOr<Artifact> artifact = !credentials.ok() ? StatusOr<Artifact>(credentials.status())
                                  : credentials->empty()
                                      ? runtime->Pull(server->spec, progress, deadline)
                                      : runtime->PullAs(*credentials, server->spec, progress, deadline);
    w_.deps.metrics.RuntimeOperation("Pull", artifact.ok(), w_.deps.clock.Now() - start);
    if (artifact.ok()) {
      w_.uses(key, artifact->digest);
      w_.deps.events.Record(key, "Normal", "Pulled", "artifact " + artifact->digest.substr(0, 19) + " is here");
    } else {
      w_.deps.events.Record(key, "Warning", "PullFailed", Printable(Message(artifact.status()), 1024));
    }
    w_.post(key, PullDone{revision, std::move(artifact)});
  });
}

std::optional<ProbeTarget> ServerReconciler::Target(const ServerKey& key, const ServerRecord& record, const Look& look,
                                                    const InstanceView* instance) const {
  ProbeTarget target;
  target.server = key;
  if (look.desired != nullptr && !OnHold(*look.desired) && IsRemote(*look.desired)) {
    const auto& remote = std::get<RemoteSource>(look.desired->spec.source);
    if (look.desired->spec.suspend) return std::nullopt;
    target.revision = look.desired->revision;
    target.transport = Transport::kStreamableHttp;
    target.url = remote.url;
    target.headers = remote.headers;
    target.secrets = look.desired->secrets;
    return target;
  }
  if (instance == nullptr || !MainRuns(*instance)) return std::nullopt;
  const std::shared_ptr<const DesiredServer> by = SpecOf(record, instance->report.revision);
  if (by == nullptr) return std::nullopt;
  target.instance = instance->report.id;
  target.revision = instance->report.revision;
  target.transport = by->spec.transport;
  if (target.transport != Transport::kStdio) {
    target.url = "http://127.0.0.1:" + std::to_string(by->spec.port) + by->spec.path;
    target.network_pid = by->spec.security.network == NetworkMode::kHost ? 0 : instance->report.pid;
  }
  return target;
}

void ServerReconciler::BeginProbe(const ServerKey& key, ServerRecord* record, const Look& look, ProbeKind kind,
                                  const std::string& instance) {
  std::optional<ProbeTarget> target = Target(key, *record, look, FindInstance(look.observed, instance));
  if (!target) return;
  if (target->transport == Transport::kStdio) target->stdio = w_.deps.sessions.MainChannel(target->instance);
  ProbeState& probe = record->instances[instance].probe;
  const MonoTime now = w_.deps.clock.Now();
  const std::string incarnation = probe.incarnation;
  if (target->transport == Transport::kStdio && target->stdio == nullptr) {
    // It ended between two looks, or has no pipes yet: the session host triggers; this only bounds the wait.
    probe.next_verify = probe.next_ping = now + std::chrono::milliseconds(100);
    return;
  }
  const Probes probes = ProbesOf(*record, instance);
  probe.in_flight = kind;
  const char* name = kind == ProbeKind::kPing ? "liveness" : probe.handshake ? "readiness" : "startup";
  Duration timeout = kind == ProbeKind::kPing ? probes.liveness_timeout : probes.readiness_timeout;
  if (kind == ProbeKind::kVerify && !probe.handshake) {
    timeout = std::max<Duration>(probe.started + probes.startup_timeout - now, std::chrono::milliseconds(100));
    if (instance.empty()) timeout = probes.readiness_timeout;
    // A revision that is being rolled out has an answer by its deadline, if only that there was none.
    const std::optional<RolloutState>& rollout = look.observed.rollout;
    if (rollout && look.desired != nullptr && target->revision == look.desired->revision) {
      const Duration left = rollout->since + look.desired->spec.update_strategy.progress_deadline - now;
      if (left > Duration::zero()) timeout = std::min(timeout, left);
    }
  }
  w_.probes.Submit(
      [this, key, kind, name, timeout, incarnation, quiet = probes.liveness_period, target = *std::move(target)] {
        const MonoTime start = w_.deps.clock.Now();
        if (kind == ProbeKind::kPing) {
          Status status = w_.deps.prober.Ping(target, quiet, Deadline::After(timeout));
          w_.deps.metrics.Probe(name, status.ok(), w_.deps.clock.Now() - start);
          w_.post(key, PingDone{incarnation, status});
          return;
        }
        StatusOr<Verification> result = w_.deps.prober.Verify(target, Deadline::After(timeout));
        w_.deps.metrics.Probe(name, result.ok(), w_.deps.clock.Now() - start);
        w_.post(key, VerifyDone{incarnation, std::move(result)});
      });
}

}  // namespace mcpfleet
