#include "controller/core/server_reconciler.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/strings.h"
#include "controller/core/server_memory.h"

namespace mcpfleet {
namespace {

using Phase = MainState::Phase;
using std::chrono::seconds;

constexpr Duration kListTimeout = seconds(20);
constexpr Duration kLogsTimeout = seconds(3);
constexpr int kTailLines = 20;
constexpr Duration kFirstAnswerPatience = seconds(3);
// A plan that never comes to rest is a defect; the queue goes on with the next server and comes back.
constexpr int kMaxRounds = 8;
constexpr Duration kPullRetryFirst = seconds(2), kPullRetryLast = std::chrono::minutes(5);

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

// The runtime whose state an action changes.
std::optional<RuntimeKind> Touches(const Action& action, RuntimeKind desired) {
  if (std::holds_alternative<CreateInstance>(action)) return desired;
  if (const auto* a = std::get_if<StartInstance>(&action)) return a->runtime;
  if (const auto* a = std::get_if<StopInstance>(&action)) return a->runtime;
  if (const auto* a = std::get_if<RemoveInstance>(&action)) return a->runtime;
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

std::string ExitId(const InstanceView& view) {
  if (view.report.state == InstanceState::kExited) return view.report.id;
  return view.report.id + "/" + std::to_string(view.main.child);
}

std::string IncarnationOf(const InstanceView& view) {
  const int pid = view.report.shim ? view.main.pid : view.report.pid;
  const int64_t since = view.report.shim ? view.main.since.time_since_epoch().count() : 0;
  return view.report.id + "/" + std::to_string(pid) + "/" + std::to_string(since);
}

}  // namespace

double Chance::Next() {
  MutexLock lock(&mu_);
  return std::uniform_real_distribution<double>(0, 1)(random_);
}

std::string Chance::Letters(size_t n) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  MutexLock lock(&mu_);
  std::string out;
  for (size_t i = 0; i < n; ++i) out += kLetters[random_() % kLetters.size()];
  return out;
}

std::string NewInstanceId(const ServerKey& key, const std::string& revision, Chance& chance) {
  std::string name;
  for (char c : key.name.substr(0, 20)) {
    name += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (name.empty()) name = "server";
  return name + "-" + (revision.empty() ? "0" : revision.substr(0, 8)) + "-" + chance.Letters(5);
}

RuntimeKind ChooseRuntime(const ServerSpec& spec) {
  switch (spec.runtime) {
    case RuntimeChoice::kDocker:
      return RuntimeKind::kDocker;
    case RuntimeChoice::kProcess:
      return RuntimeKind::kProcess;
    case RuntimeChoice::kAuto:
      break;
  }
  return std::holds_alternative<ImageSource>(spec.source) ? RuntimeKind::kDocker : RuntimeKind::kProcess;
}

ReconcileResult ServerReconciler::Reconcile(const ServerKey& key, ServerRecord* record,
                                            const std::vector<Outcome>& inbox) {
  ReconcileResult result;
  for (const Outcome& outcome : inbox) TakeIn(record, outcome);
  Look look;
  for (int round = 0; round < kMaxRounds; ++round) {
    if (result.status = Refresh(record); !result.status.ok()) break;
    look = Look{};
    Observe(key, record, &look);
    const MonoTime now = w_.deps.clock.Now();
    look.actions = Plan(look.desired.get(), look.observed, now);
    result.wake = MonoTime::max();
    bool acted = false;
    for (const Action& action : look.actions) {
      if (const auto* wait = std::get_if<WaitUntil>(&action)) {
        result.wake = std::min(result.wake, wait->when);
        continue;
      }
      result.status = Run(key, record, look, action);
      if (!result.status.ok()) break;
      // These answer through the inbox.
      const bool probe = std::holds_alternative<Verify>(action) || std::holds_alternative<Ping>(action);
      const bool later =
          std::holds_alternative<PullArtifact>(action) || (probe && record->probe.in_flight != ProbeKind::kNone);
      acted = acted || !later;
    }
    if (!result.status.ok() || !acted) break;
    result.wake = now;  // out of rounds: at once again
  }
  if (look.snapshot == nullptr) Observe(key, record, &look);
  result.gone = look.desired == nullptr && look.observed.instances.empty() && look.observed.removals_allowed;
  WriteStatus(key, record, look, &result.wrote_status);
  Note(key, record, result.gone);
  return result;
}

void ServerReconciler::TakeIn(ServerRecord* record, const Outcome& outcome) {
  const MonoTime now = w_.deps.clock.Now();
  const Probes& probes = record->current != nullptr ? record->current->spec.probes : Probes{};
  if (const auto* pull = std::get_if<PullDone>(&outcome)) {
    ArtifactState& artifact = record->artifact;
    if (artifact.revision != pull->revision) return;  // of a spec that has changed since
    if (pull->artifact.ok()) {
      artifact.phase = ArtifactState::Phase::kReady;
      artifact.artifact = *pull->artifact;
      artifact.failures = 0;
      artifact.message.clear();
      return;
    }
    artifact.phase = ArtifactState::Phase::kFailed;
    artifact.message = Printable(Message(pull->artifact.status()), 1024);
    artifact.retry_at = now + BackOff(kPullRetryFirst, kPullRetryLast, ++artifact.failures, chance_.Next());
  } else if (const auto* progress = std::get_if<PullProgressed>(&outcome)) {
    if (record->artifact.revision == progress->revision && record->artifact.phase == ArtifactState::Phase::kPulling) {
      record->artifact.message = progress->message;
    }
  } else if (const auto* verify = std::get_if<VerifyDone>(&outcome)) {
    if (verify->incarnation == record->probe.incarnation) {
      RecordVerify(verify->result, probes, now, chance_.Next(), &record->probe);
    }
  } else if (const auto* ping = std::get_if<PingDone>(&outcome)) {
    if (ping->incarnation == record->probe.incarnation) RecordPing(ping->result, probes, now, &record->probe);
  } else if (std::holds_alternative<CatalogChanged>(outcome)) {
    NoteCatalogChanged(now, &record->probe);
  }
}

// Own changes must be visible before the next decision.
Status ServerReconciler::Refresh(ServerRecord* record) {
  for (auto it = record->list_after.begin(); it != record->list_after.end();) {
    RETURN_IF_ERROR(w_.cache.Refresh(it->first, it->second, Deadline::After(kListTimeout)));
    it = record->list_after.erase(it);
  }
  return OkStatus();
}

void ServerReconciler::Observe(const ServerKey& key, ServerRecord* record, Look* look) {
  look->snapshot = w_.deps.desired.Current();
  auto it = look->snapshot->servers.find(key);
  if (it != look->snapshot->servers.end()) look->desired = it->second;
  Observed& observed = look->observed;
  observed.removals_allowed = look->snapshot->removals_allowed;
  if (w_.draining()) {
    if (look->desired != nullptr && !OnHold(*look->desired)) record->grace = look->desired->spec.termination_grace;
    look->desired = nullptr;
    observed.removals_allowed = true;
  }
  if (look->desired != nullptr) {
    record->known = true;
    Recall(key, record, *look->desired);
    NoteSpec(record, *look->desired, *look);
    if (!OnHold(*look->desired)) {
      record->grace = look->desired->spec.termination_grace;
      ObserveRuntime(*look->desired, &observed);
    }
  }
  observed.known = record->known;
  observed.grace = record->grace;
  ObserveInstances(key, record, look);
  NoteVanished(key, record, *look);
  NoteExits(key, record, look);
  NoteIncarnation(record, *look);

  observed.artifact = record->artifact;
  const InstanceView* serving = ServingInstance(nullptr, observed);
  if (serving != nullptr) {
    if (record->current != nullptr && record->current->revision == serving->report.revision) {
      observed.previous = record->current;
      observed.previous_artifact = record->artifact;
    } else if (record->previous != nullptr && record->previous->revision == serving->report.revision) {
      observed.previous = record->previous;
      observed.previous_artifact = record->previous_artifact;
    }
  }
  if (look->desired != nullptr && !OnHold(*look->desired)) {
    const bool used = std::any_of(observed.instances.begin(), observed.instances.end(),
                                  [&](const auto& i) { return i.report.id == record->pending_instance; });
    if (record->pending_instance.empty() || record->pending_revision != look->desired->revision || used) {
      record->pending_instance = NewInstanceId(key, look->desired->revision, chance_);
      record->pending_revision = look->desired->revision;
    }
    observed.new_instance = record->pending_instance;
  }
  observed.restart = record->restart;
  observed.probe = record->probe;
  record->looked = true;
}

void ServerReconciler::ObserveRuntime(const DesiredServer& desired, Observed* observed) {
  observed->runtime = ChooseRuntime(desired.spec);
  if (IsRemote(desired)) return;
  auto runtime = w_.deps.runtimes.find(observed->runtime);
  const Status health = w_.cache.Health(observed->runtime);
  if (runtime != w_.deps.runtimes.end() && !runtime->second->Supports(desired.spec)) {
    observed->runtime_reason = "UnsupportedByRuntime";
    observed->runtime_message = "the " + std::string(ToString(observed->runtime)) + " runtime can't run this source";
    return;
  }
  if (!health.ok()) {
    observed->runtime_reason = "RuntimeUnavailable";
    observed->runtime_message = Message(health);
    return;
  }
  // Another runtime that has not answered yet may still run an older revision. It is given a moment, not for ever: a
  // node whose Docker is off for good must start its processes.
  const MonoTime patience = w_.started + kFirstAnswerPatience;
  for (const auto& [kind, unused] : w_.deps.runtimes) {
    if (w_.cache.EverListed(kind) || w_.deps.clock.Now() >= patience) continue;
    observed->runtime_reason = "RuntimeUnavailable";
    observed->runtime_message = "waiting at most " + FormatDuration(kFirstAnswerPatience) + " for the " +
                                std::string(ToString(kind)) + " runtime, which may still run an older revision";
    observed->runtime_retry_at = patience;
  }
}

// What the mcplet before noted: else each of its restarts would be a new chance for a server that crashes.
void ServerReconciler::Recall(const ServerKey& key, ServerRecord* record, const DesiredServer& desired) {
  if (std::exchange(record->recalled, true) || w_.deps.notebook == nullptr) return;
  record->noted = w_.deps.notebook->Read(key);
  if (record->noted.empty()) return;
  std::optional<ServerMemory> memory =
      DecodeMemory(record->noted, desired.spec.restart_policy.backoff_max, w_.deps.clock.Now(), w_.deps.clock.Wall());
  if (!memory || memory->uid != desired.uid) return;
  record->generation = memory->generation;
  record->recalled_revision = memory->revision;
  record->recalled_policy = memory->policy;
  record->restart = std::move(memory->restart);
  record->accounted_exit = std::move(memory->accounted_exit);
  record->oom_kills = std::move(memory->oom_kills);
}

void ServerReconciler::Note(const ServerKey& key, ServerRecord* record, bool gone) {
  if (w_.deps.notebook == nullptr || record->current == nullptr) return;
  ServerMemory memory{
      record->current->uid, record->generation,     record->current->revision, record->current->spec.restart_policy,
      record->restart,      record->accounted_exit, record->oom_kills};
  if (HealthyFor(record->probe, w_.deps.clock.Now()) >= record->current->spec.restart_policy.reset_after) {
    // Its next end begins a new count; the next mcplet could not know.
    memory.restart.attempts = memory.restart.failures = 0;
  }
  std::string text = gone ? "" : EncodeMemory(memory);
  if (text == record->noted) return;
  record->noted = text;
  w_.deps.notebook->Write(key, std::move(text));
}

// Keeps the specs by revision, and gives a changed one a new chance.
void ServerReconciler::NoteSpec(ServerRecord* record, const DesiredServer& desired, const Look& look) {
  if (OnHold(desired)) return;
  const bool first = record->current == nullptr;
  const bool other_revision = first || record->current->revision != desired.revision;
  const bool changed = other_revision || record->generation != desired.generation ||
                       record->suspended != desired.spec.suspend || record->current->uid != desired.uid ||
                       record->current->spec.restart_policy != desired.spec.restart_policy;
  if (other_revision) {
    std::swap(record->artifact, record->previous_artifact);
    std::swap(record->current, record->previous);
    // Back to the revision before: its artifact is known already.
    if (record->artifact.revision != desired.revision) record->artifact = ArtifactState{};
    record->artifact.revision = desired.revision;
    // A pull of before answers for this revision only while it is the wanted one: ask again.
    if (record->artifact.phase != ArtifactState::Phase::kReady) record->artifact.phase = ArtifactState::Phase::kAbsent;
  }
  if (changed) {
    const bool as_noted = record->generation == desired.generation && record->recalled_revision == desired.revision &&
                          record->recalled_policy == desired.spec.restart_policy;
    if (!first || !as_noted) RecordNewSpec(&record->restart);
    record->failure = ActionFailure{};
    record->converging_since = look.snapshot->seen_at;
  }
  record->current = look.desired;
  record->generation = desired.generation;
  record->suspended = desired.spec.suspend;
}

void ServerReconciler::ObserveInstances(const ServerKey& key, ServerRecord* record, Look* look) {
  const MonoTime now = w_.deps.clock.Now();
  for (InstanceReport& report : w_.cache.Of(key)) {
    InstanceView view;
    view.report = std::move(report);
    const std::string& id = view.report.id;
    if (auto failed = record->failed_starts.find(id); failed != record->failed_starts.end()) {
      view.failed_starts = failed->second;
    }
    if (view.report.state == InstanceState::kRunning && view.report.shim) {
      auto it = record->expected.find(id);
      view.expected = it != record->expected.end() && it->second.pid == view.report.pid;
      if (view.expected) {
        view.connected = w_.deps.sessions.Connected(id);
        if (view.connected) {
          it->second.since = now;
          view.main = w_.deps.sessions.Main(id);
        }
        view.expected_at = it->second.since;
      }
    }
    if (!view.report.attached.empty()) {
      view.connected = view.report.state == InstanceState::kRunning && w_.deps.sessions.Connected(id);
      view.main = w_.deps.sessions.Main(id);
    }
    look->observed.instances.push_back(std::move(view));
  }
}

// What was there at the last look and is gone without our doing was removed by somebody else.
void ServerReconciler::NoteVanished(const ServerKey& key, ServerRecord* record, const Look& look) {
  std::map<std::string, InstanceReport> seen;
  for (const InstanceView& view : look.observed.instances) seen[view.report.id] = view.report;
  for (const auto& [id, report] : record->seen) {
    if (seen.contains(id)) continue;
    record->expected.erase(id);
    record->oom_kills.erase(id);
    record->failed_starts.erase(id);
    if (record->leaving.erase(id) > 0) continue;
    w_.deps.prober.Forget(id);
    w_.deps.sessions.Forget(id);
    if (look.desired == nullptr || OnHold(*look.desired)) continue;
    w_.deps.events.Record(key, "Warning", "DriftCorrected", "instance " + id + " was removed by somebody else");
    w_.deps.metrics.DriftCorrected();
    if (report.state == InstanceState::kRunning &&
        look.desired->spec.restart_policy.condition != RestartCondition::kNever) {
      ExitCause cause;
      cause.reason = "Removed";
      cause.forced = true;
      cause.message = "instance " + id + " was removed by somebody else";
      cause.healthy_for = HealthyFor(record->probe, w_.deps.clock.Now());
      RecordExit(look.desired->spec.restart_policy, cause, w_.deps.clock.Now(), w_.deps.clock.Wall(), chance_.Next(),
                 &record->restart);
      record->restart.revision = report.revision;
      w_.deps.metrics.Restarted(key, cause.reason);
    }
  }
  record->seen = std::move(seen);
}

// An end that is not counted yet goes into the restart state, once.
void ServerReconciler::NoteExits(const ServerKey& key, ServerRecord* record, Look* look) {
  const InstanceView* serving = ServingInstance(look->desired.get(), look->observed);
  if (serving == nullptr || look->desired == nullptr) return;
  if (SessionLost(*serving)) {
    // Also one that has exited: its input ended with the mcplet before, so nobody knows of an end of its own.
    const std::string& id = serving->report.id;
    if (record->accounted_exit == "lost " + id || record->leaving.contains(id) || OnHold(*look->desired)) return;
    record->accounted_exit = "lost " + id;
    w_.deps.events.Record(key, "Normal", "SessionLost",
                          "instance " + id + " was attached, so its session ended with the mcplet before this one; " +
                              "a new instance takes its place");
    return;
  }
  if (serving->report.state == InstanceState::kExited) {
    if (record->accounted_exit == ExitId(*serving) || record->leaving.contains(serving->report.id)) return;
    ExitCause cause;
    cause.exit = serving->report.exit;
    // The shim never ends by itself: somebody ended it, or the server took it along.
    cause.forced = serving->report.shim;
    if (cause.forced && (!cause.exit || ReasonOf(*cause.exit) == "Completed")) cause.reason = "Stopped";
    if (serving->report.shim && record->looked && !OnHold(*look->desired) && !(cause.exit && cause.exit->oom)) {
      w_.deps.events.Record(key, "Warning", "DriftCorrected",
                            "instance " + serving->report.id + " was stopped by somebody else");
      w_.deps.metrics.DriftCorrected();
    }
    NoteExit(key, record, *look, *serving, std::move(cause));
    return;
  }
  if (!serving->connected || serving->main.phase != Phase::kExited) return;
  if (record->accounted_exit == ExitId(*serving)) return;
  if (record->stopped_for) {
    // Counted when it was decided; only how it ended is news.
    record->stopped_for.reset();
    record->accounted_exit = ExitId(*serving);
    record->restart.last_exit = serving->main.exit;
    record->restart.stderr_tail = StderrTail(serving->report);
    return;
  }
  ExitCause cause;
  cause.exit = serving->main.exit;
  if (cause.exit && cause.exit->signal == SIGKILL) cause.exit->oom = OutOfMemory(record, serving->report);
  cause.message = serving->main.failure;
  if (!cause.message.empty()) cause.reason = "StartError";
  NoteExit(key, record, *look, *serving, std::move(cause));
}

void ServerReconciler::NoteExit(const ServerKey& key, ServerRecord* record, const Look& look,
                                const InstanceView& instance, ExitCause cause) {
  const MonoTime now = w_.deps.clock.Now();
  const DesiredServer* by = record->current != nullptr ? record->current.get() : look.desired.get();
  cause.stderr_tail = StderrTail(instance.report);
  // What ended before our time (a reboot) has no bad record, unless one was noted.
  cause.healthy_for = record->ran                    ? HealthyFor(record->probe, now)
                      : record->restart.attempts > 0 ? Duration::zero()
                                                     : by->spec.restart_policy.reset_after;
  record->accounted_exit = ExitId(instance);
  RecordExit(by->spec.restart_policy, cause, now, w_.deps.clock.Wall(), chance_.Next(), &record->restart);
  record->restart.revision = instance.report.revision;
  const RestartState& restart = record->restart;
  if (restart.verdict == RestartVerdict::kRestart) w_.deps.metrics.Restarted(key, restart.last_reason);
  const bool fine = restart.verdict == RestartVerdict::kCompleted;
  w_.deps.events.Record(key, fine ? "Normal" : "Warning", fine ? "Completed" : "Exited",
                        "ended: " + restart.last_reason +
                            (cause.exit ? ", exit code " + std::to_string(cause.exit->code) : "") +
                            (cause.message.empty() ? "" : ": " + cause.message));
  if (restart.verdict == RestartVerdict::kFailed) {
    w_.deps.events.Record(key, "Warning", "Failed", "will not be restarted until its spec changes");
  }
}

// Another child has another handshake; one that runs needs no restart any more.
void ServerReconciler::NoteIncarnation(ServerRecord* record, const Look& look) {
  const MonoTime now = w_.deps.clock.Now();
  std::string incarnation;
  if (look.desired != nullptr && !OnHold(*look.desired) && IsRemote(*look.desired)) {
    if (!look.desired->spec.suspend) incarnation = "remote/" + look.desired->revision;
  } else if (const InstanceView* serving = ServingInstance(look.desired.get(), look.observed);
             serving != nullptr && MainRuns(*serving)) {
    incarnation = IncarnationOf(*serving);
  }
  if (incarnation == record->probe.incarnation) return;
  BeginIncarnation(incarnation, now, &record->probe);
  if (incarnation.empty()) return;
  record->ran = true;
  RecordStart(&record->restart);
  record->stopped_for.reset();
  record->accounted_exit.clear();
}

// Whether the kernel killed in this instance for want of memory since the last look. The shim only sees a SIGKILL, and
// an engine only sees its first process; the count of the cgroup tells.
bool ServerReconciler::OutOfMemory(ServerRecord* record, const InstanceReport& report) {
  auto runtime = w_.deps.runtimes.find(report.runtime);
  if (runtime == w_.deps.runtimes.end()) return false;
  StatusOr<std::vector<InstanceUsage>> all = runtime->second->Usage(Deadline::After(kLogsTimeout));
  if (!all.ok()) return false;
  for (const InstanceUsage& usage : *all) {
    if (usage.id != report.id) continue;
    return usage.oom_kills > std::exchange(record->oom_kills[report.id], usage.oom_kills);
  }
  return false;
}

std::string ServerReconciler::StderrTail(const InstanceReport& report) {
  auto runtime = w_.deps.runtimes.find(report.runtime);
  if (runtime == w_.deps.runtimes.end()) return "";
  std::string tail;
  LogOptions options;
  options.tail_lines = kTailLines;
  const auto take = [&](std::string_view text) {
    tail += text;
    if (tail.size() > 4 * limits::kStderrTailBytes) tail.erase(0, tail.size() - 2 * limits::kStderrTailBytes);
    return true;
  };
  // Without the lines the exit is still worth telling.
  (void)runtime->second->Logs(report.id, options, take, Deadline::After(kLogsTimeout));
  std::string out;
  for (const std::string& line : Split(tail, '\n')) {
    // "<RFC3339 time> <line>": people look at the line.
    const size_t space = line.find(' ');
    const bool stamped = space != std::string::npos && space >= 20 && line[4] == '-';
    if (!line.empty()) out += (stamped ? line.substr(space + 1) : line) + "\n";
  }
  if (out.size() > limits::kStderrTailBytes) out.erase(0, out.size() - limits::kStderrTailBytes);
  return out;
}

Status ServerReconciler::Run(const ServerKey& key, ServerRecord* record, const Look& look, const Action& action) {
  if (std::holds_alternative<PullArtifact>(action)) {
    BeginPull(key, record, look);
    return OkStatus();
  }
  if (std::holds_alternative<Verify>(action) || std::holds_alternative<Ping>(action)) {
    BeginProbe(key, record, look, std::holds_alternative<Verify>(action) ? ProbeKind::kVerify : ProbeKind::kPing);
    return OkStatus();
  }
  const std::optional<RuntimeKind> touched = Touches(action, look.observed.runtime);
  const std::optional<RestartAsked> restart = AskedRestart(action);
  if (const std::string id = InstanceOf(action); !id.empty()) record->leaving.insert(id);
  const Duration healthy_for = HealthyFor(record->probe, w_.deps.clock.Now());
  // It may end before the next look.
  record->ran |= std::holds_alternative<StartInstance>(action) || std::holds_alternative<StartMain>(action);
  Status status = executor_.Execute(action, {key, look.desired.get(), &look.observed});
  // Also a failed call may have had its effect.
  if (touched) record->list_after[*touched] = w_.cache.Mark();
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
    const DesiredServer* by = record->current != nullptr ? record->current.get() : look.desired.get();
    RecordExit(by->spec.restart_policy, cause, w_.deps.clock.Now(), w_.deps.clock.Wall(), chance_.Next(),
               &record->restart);
    for (const InstanceView& view : look.observed.instances) {
      if (view.report.id == restart->instance) record->restart.revision = view.report.revision;
    }
    w_.deps.metrics.Restarted(key, restart->reason);
    record->stopped_for = restart->reason;
  }
  if (const auto* expect = std::get_if<ExpectShim>(&action)) {
    record->expected[expect->instance] = {expect->pid, w_.deps.clock.Now()};
  }
  if (const auto* start = std::get_if<StartMain>(&action)) {
    record->stopped_for.reset();
    record->accounted_exit.clear();
    w_.uses(key, (start->previous ? look.observed.previous_artifact : look.observed.artifact).artifact.digest);
  }
  return OkStatus();
}

void ServerReconciler::BeginPull(const ServerKey& key, ServerRecord* record, const Look& look) {
  ContainerRuntime* runtime = w_.deps.runtimes.at(look.observed.runtime);
  record->artifact.phase = ArtifactState::Phase::kPulling;
  record->artifact.message = "waiting for its turn";
  const std::string revision = look.desired->revision;
  w_.pulls.Submit([this, key, runtime, revision, desired = look.desired] {
    const MonoTime start = w_.deps.clock.Now();
    const auto progress = [&](const PullProgress& p) {
      std::string text = p.phase;
      if (p.total_bytes > 0) text += " " + std::to_string(p.done_bytes * 100 / p.total_bytes) + "%";
      w_.post(key, PullProgressed{revision, text});
    };
    StatusOr<Artifact> artifact = runtime->Pull(desired->spec, progress, Deadline::After(w_.options.pull_timeout));
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

std::optional<ProbeTarget> ServerReconciler::Target(const ServerKey& key, const ServerRecord& record,
                                                    const Look& look) const {
  ProbeTarget target;
  target.server = key;
  if (look.desired != nullptr && !OnHold(*look.desired) && IsRemote(*look.desired)) {
    const auto& remote = std::get<RemoteSource>(look.desired->spec.source);
    if (look.desired->spec.suspend) return std::nullopt;
    target.revision = look.desired->revision;
    target.transport = Transport::kStreamableHttp;
    target.url = remote.url;
    target.headers = remote.headers;
    return target;
  }
  const InstanceView* serving = ServingInstance(look.desired.get(), look.observed);
  if (serving == nullptr || !MainRuns(*serving)) return std::nullopt;
  const DesiredServer* by = nullptr;
  for (const auto& spec : {record.current, record.previous}) {
    if (spec != nullptr && spec->revision == serving->report.revision) by = spec.get();
  }
  if (by == nullptr) return std::nullopt;
  target.instance = serving->report.id;
  target.revision = serving->report.revision;
  target.transport = by->spec.transport;
  if (target.transport != Transport::kStdio) {
    target.url = "http://127.0.0.1:" + std::to_string(by->spec.port) + by->spec.path;
    target.network_pid = by->spec.security.network == NetworkMode::kHost ? 0 : serving->report.pid;
  }
  return target;
}

void ServerReconciler::BeginProbe(const ServerKey& key, ServerRecord* record, const Look& look, ProbeKind kind) {
  std::optional<ProbeTarget> target = Target(key, *record, look);
  if (!target) return;
  if (target->transport == Transport::kStdio) target->stdio = w_.deps.sessions.MainChannel(target->instance);
  ProbeState& probe = record->probe;
  const MonoTime now = w_.deps.clock.Now();
  const std::string incarnation = probe.incarnation;
  if (target->transport == Transport::kStdio && target->stdio == nullptr) {
    // It ended between two looks, or has no pipes yet: the session host triggers; this only bounds the wait.
    probe.next_verify = probe.next_ping = now + std::chrono::milliseconds(100);
    return;
  }
  const Probes& probes = look.observed.previous != nullptr && look.observed.previous->revision == target->revision
                             ? look.observed.previous->spec.probes
                         : look.desired != nullptr ? look.desired->spec.probes
                                                   : record->current->spec.probes;
  probe.in_flight = kind;
  const char* name = kind == ProbeKind::kPing ? "liveness" : probe.handshake ? "readiness" : "startup";
  Duration timeout = kind == ProbeKind::kPing ? probes.liveness_timeout : probes.readiness_timeout;
  if (kind == ProbeKind::kVerify && !probe.handshake) {
    timeout = std::max<Duration>(probe.started + probes.startup_timeout - now, std::chrono::milliseconds(100));
    if (IsRemote(*record->current)) timeout = probes.readiness_timeout;
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

void ServerReconciler::WriteStatus(const ServerKey& key, ServerRecord* record, const Look& look, bool* wrote) {
  if (look.desired == nullptr && look.observed.instances.empty()) {
    if (!look.observed.removals_allowed) return;
    if (record->status) w_.deps.status.Remove(key);
    record->status.reset();
    w_.publish(key, nullptr);
    return;
  }
  // The record moved on while the actions ran.
  Observed observed = look.observed;
  observed.restart = record->restart;
  observed.probe = record->probe;
  observed.artifact = record->artifact;
  StatusInput input{key, look.desired.get(), &observed, record->failure, w_.deps.clock.Now(), w_.deps.clock.Wall()};
  ServerStatus status = BuildStatus(input, record->status ? &*record->status : nullptr);
  const bool was_ready = record->status && IsReady(*record->status);
  const bool ready = IsReady(status);
  const bool same = record->status && SameStatus(*record->status, status);

  ServerView view;
  view.status = status;
  view.target = Target(key, *record, look);
  if (const InstanceView* serving = ServingInstance(look.desired.get(), observed)) view.instance = serving->report;
  w_.publish(key, &view);
  if (ready != was_ready && look.desired != nullptr) {
    const Condition* condition = FindCondition(status.conditions, "Ready");
    if (ready) {
      w_.deps.events.Record(key, "Normal", "Ready",
                            "answers MCP: " + FindCondition(status.conditions, "Verified")->message);
    } else if (record->status) {
      w_.deps.events.Record(key, "Warning", "NotReady",
                            condition->reason + (condition->message.empty() ? "" : ": " + condition->message));
    }
  }
  if (ready && record->converging_since) {
    w_.deps.metrics.Converged(key, w_.deps.clock.Now() - *record->converging_since);
    record->converging_since.reset();
  }
  if (!same) {
    w_.deps.status.Set(status);
    *wrote = true;
    record->status = std::move(status);
  }
}

}  // namespace mcpfleet
