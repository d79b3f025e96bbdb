// What became of a server's instances since the last look: which are there, which vanished, which ended and why.
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/strings.h"
#include "controller/core/server_reconciler.h"

namespace mcpfleet {
namespace {

using Phase = MainState::Phase;
using std::chrono::seconds;

constexpr Duration kLogsTimeout = seconds(3);
constexpr int kTailLines = 20;

std::string ExitId(const InstanceView& view) {
  if (view.report.state == InstanceState::kExited) return view.report.id;
  return view.report.id + "/" + std::to_string(view.main.child);
}

bool Ended(const InstanceView& view) {
  return view.report.state == InstanceState::kExited || view.main.phase == Phase::kExited;
}

std::string IncarnationOf(const InstanceView& view) {
  const int pid = view.report.shim ? view.main.pid : view.report.pid;
  const int64_t since = view.report.shim ? view.main.since.time_since_epoch().count() : 0;
  return view.report.id + "/" + std::to_string(pid) + "/" + std::to_string(since);
}

}  // namespace

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
          view.separates_clients = w_.deps.sessions.SeparatesClients(id);
        }
        view.expected_at = it->second.since;
      }
    }
    if (!view.report.attached.empty()) {
      view.connected = view.report.state == InstanceState::kRunning && w_.deps.sessions.Connected(id);
      view.main = w_.deps.sessions.Main(id);
    }
    // Wanted again.
    const bool wanted = look->desired != nullptr && !OnHold(*look->desired) && Matches(view.report, *look->desired);
    if (auto it = record->instances.find(id); wanted && it != record->instances.end())
      it->second.draining_since.reset();
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
    // Nobody misses what was to go, or sleeps.
    const InstanceMemory& instance = record->instances[id];
    if (instance.draining_since || record->sleep.phase == SleepState::Phase::kAsleep) continue;
    w_.deps.events.Record(key, "Warning", "DriftCorrected", "instance " + id + " was removed by somebody else");
    w_.deps.metrics.DriftCorrected();
    if (report.state == InstanceState::kRunning &&
        look.desired->spec.restart_policy.condition != RestartCondition::kNever) {
      ExitCause cause;
      cause.reason = "Removed";
      cause.forced = true;
      cause.message = "instance " + id + " was removed by somebody else";
      cause.healthy_for = HealthyFor(instance.probe, look.now);
      RestartState& restart = record->revisions[report.revision].restart;
      RecordExit(look.desired->spec.restart_policy, cause, look.now, w_.deps.clock.Wall(), chance_.Next(), &restart);
      restart.revision = report.revision;
      w_.deps.metrics.Restarted(key, cause.reason);
    }
  }
  record->seen = std::move(seen);
  std::erase_if(record->instances,
                [&](const auto& entry) { return !entry.first.empty() && !record->seen.contains(entry.first); });
}

// An end that is not counted yet goes into the restart state of its revision, once.
void ServerReconciler::NoteExits(const ServerKey& key, ServerRecord* record, const Look& look) {
  if (look.desired == nullptr) return;
  for (const InstanceView* instance : TendedInstances(look.desired.get(), look.observed)) {
    if (record->sleep.phase != SleepState::Phase::kAsleep) {
      NoteExitOf(key, record, look, *instance);
    } else if (Ended(*instance)) {
      // It was sent to sleep, or its node rebooted: no reason to count.
      record->instances[instance->report.id].accounted_exit = ExitId(*instance);
    }
  }
}

void ServerReconciler::NoteExitOf(const ServerKey& key, ServerRecord* record, const Look& look,
                                  const InstanceView& view) {
  const std::string& id = view.report.id;
  InstanceMemory& instance = record->instances[id];
  const bool hold = OnHold(*look.desired);
  if (SessionLost(view)) {
    // Also one that has exited: its input ended with the mcplet before, so nobody knows of an end of its own.
    if (instance.accounted_exit == "lost " + id || record->leaving.contains(id) || hold) return;
    instance.accounted_exit = "lost " + id;
    w_.deps.events.Record(key, "Normal", "SessionLost",
                          "instance " + id + " was attached, so its session ended with the mcplet before this one; " +
                              "a new instance takes its place");
    return;
  }
  if (view.report.state == InstanceState::kExited) {
    if (instance.accounted_exit == ExitId(view) || record->leaving.contains(id)) return;
    ExitCause cause;
    cause.exit = view.report.exit;
    // The shim never ends by itself: somebody ended it, or the server took it along.
    cause.forced = view.report.shim;
    if (cause.forced && (!cause.exit || ReasonOf(*cause.exit) == "Completed")) cause.reason = "Stopped";
    if (view.report.shim && record->looked && !hold && !(cause.exit && cause.exit->oom)) {
      w_.deps.events.Record(key, "Warning", "DriftCorrected", "instance " + id + " was stopped by somebody else");
      w_.deps.metrics.DriftCorrected();
    }
    NoteExit(key, record, look, view, std::move(cause));
    return;
  }
  if (!view.connected || view.main.phase != Phase::kExited) return;
  if (instance.accounted_exit == ExitId(view)) return;
  if (instance.stopped_for) {
    // Counted when it was decided; only how it ended is news.
    instance.stopped_for.reset();
    instance.accounted_exit = ExitId(view);
    RestartState& restart = record->revisions[view.report.revision].restart;
    restart.last_exit = view.main.exit;
    restart.stderr_tail = StderrTail(view.report);
    return;
  }
  ExitCause cause;
  cause.exit = view.main.exit;
  if (cause.exit && cause.exit->signal == SIGKILL) cause.exit->oom = OutOfMemory(record, view.report);
  cause.message = view.main.failure;
  if (!cause.message.empty()) cause.reason = "StartError";
  NoteExit(key, record, look, view, std::move(cause));
}

void ServerReconciler::NoteExit(const ServerKey& key, ServerRecord* record, const Look& look, const InstanceView& view,
                                ExitCause cause) {
  InstanceMemory& instance = record->instances[view.report.id];
  RevisionRecord& revision = record->revisions[view.report.revision];
  RestartState& restart = revision.restart;
  const DesiredServer& by = revision.spec != nullptr     ? *revision.spec
                            : record->current != nullptr ? *record->current
                                                         : *look.desired;
  cause.stderr_tail = StderrTail(view.report);
  // What ended before our time (a reboot) has no bad record, unless one was noted.
  cause.healthy_for = instance.ran           ? HealthyFor(instance.probe, look.now)
                      : restart.attempts > 0 ? Duration::zero()
                                             : by.spec.restart_policy.reset_after;
  instance.accounted_exit = ExitId(view);
  RecordExit(by.spec.restart_policy, cause, look.now, w_.deps.clock.Wall(), chance_.Next(), &restart);
  restart.revision = view.report.revision;
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
void ServerReconciler::NoteIncarnations(ServerRecord* record, const Look& look) {
  const auto note = [&](const std::string& id, const std::string& revision, const std::string& incarnation) {
    InstanceMemory& instance = record->instances[id];
    if (incarnation == instance.probe.incarnation) return;
    BeginIncarnation(incarnation, look.now, &instance.probe);
    if (incarnation.empty()) return;
    instance.ran = true;
    instance.stopped_for.reset();
    instance.accounted_exit.clear();
    RecordStart(&record->revisions[revision].restart);
  };
  if (look.desired != nullptr && !OnHold(*look.desired) && IsRemote(*look.desired)) {
    const std::string& revision = look.desired->revision;
    note("", revision, look.desired->spec.suspend ? "" : "remote/" + revision);
    return;
  }
  record->instances.erase("");
  for (const InstanceView* view : TendedInstances(look.desired.get(), look.observed)) {
    // One that nobody can ask has not failed to answer.
    if (SpecOf(*record, view->report.revision) == nullptr) continue;
    note(view->report.id, view->report.revision, MainRuns(*view) ? IncarnationOf(*view) : "");
  }
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

}  // namespace mcpfleet
