#include "controller/core/server_reconciler.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/strings.h"
#include "controller/core/client_target.h"
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
// What a new mcplet leaves of a roll-out's deadline at least.
constexpr Duration kRolloutChance = seconds(60);
// Longer ago than anything here lasts.
constexpr Duration kLongAgo = std::chrono::hours(24 * 30);
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

bool Ended(const InstanceView& view) {
  return view.report.state == InstanceState::kExited || view.main.phase == Phase::kExited;
}

std::string IncarnationOf(const InstanceView& view) {
  const int pid = view.report.shim ? view.main.pid : view.report.pid;
  const int64_t since = view.report.shim ? view.main.since.time_since_epoch().count() : 0;
  return view.report.id + "/" + std::to_string(pid) + "/" + std::to_string(since);
}

// A probe that could not be asked has been dealt with.
bool Answered(const ServerRecord& record, const Action& action) {
  const auto* verify = std::get_if<Verify>(&action);
  const auto* ping = std::get_if<Ping>(&action);
  if (verify == nullptr && ping == nullptr) return false;
  auto it = record.instances.find(verify != nullptr ? verify->instance : ping->instance);
  return it == record.instances.end() || it->second.probe.in_flight == ProbeKind::kNone;
}

// The spec of a revision; null when nobody here saw it.
std::shared_ptr<const DesiredServer> SpecOf(const ServerRecord& record, const std::string& revision) {
  auto it = record.revisions.find(revision);
  return it == record.revisions.end() ? nullptr : it->second.spec;
}

RestartState RestartOf(const ServerRecord& record, const std::string& revision) {
  auto it = record.revisions.find(revision);
  return it == record.revisions.end() ? RestartState{} : it->second.restart;
}

Probes ProbesOf(const ServerRecord& record, const std::string& instance) {
  auto seen = record.seen.find(instance);
  std::shared_ptr<const DesiredServer> spec =
      seen == record.seen.end() ? nullptr : SpecOf(record, seen->second.revision);
  if (spec == nullptr) spec = record.current;
  return spec != nullptr ? spec->spec.probes : Probes{};
}

const InstanceView* Find(const Observed& observed, const std::string& instance) {
  for (const InstanceView& view : observed.instances) {
    if (view.report.id == instance) return &view;
  }
  return nullptr;
}

// What the record knows of what is observed; again after it has changed.
void FillIn(const ServerRecord& record, const DesiredServer* desired, Observed* observed) {
  for (InstanceView& view : observed->instances) {
    view.restart = RestartOf(record, view.report.revision);
    auto it = record.instances.find(view.report.id);
    if (it == record.instances.end()) continue;
    view.probe = it->second.probe;
    view.draining_since = it->second.draining_since;
  }
  if (auto remote = record.instances.find(""); remote != record.instances.end()) observed->probe = remote->second.probe;
  if (record.current != nullptr) {
    auto current = record.revisions.find(record.current->revision);
    if (current != record.revisions.end()) {
      observed->artifact = current->second.artifact;
      observed->restart = current->second.restart;
    }
    observed->drain_timeout = record.current->spec.update_strategy.drain_timeout;
  }
  observed->rollout.reset();
  observed->undone.clear();
  if (desired != nullptr && record.rollout && record.rollout->revision == desired->revision) {
    observed->rollout = record.rollout->state;
  }
  if (desired != nullptr && record.undone && record.undone->before.get() == desired) {
    observed->undone = record.undone->message;
  }
  observed->sleep = record.sleep;
  const InstanceView* old = desired == nullptr || OnHold(*desired) ? nullptr : OldInstance(*desired, *observed);
  if (old == nullptr) old = ServingInstance(nullptr, *observed);
  if (old == nullptr) return;
  if (auto it = record.revisions.find(old->report.revision); it != record.revisions.end()) {
    observed->previous = it->second.spec;
    observed->previous_artifact = it->second.artifact;
  }
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

RuntimeKind ChooseRuntime(const ServerSpec& spec, const std::map<RuntimeKind, ContainerRuntime*>& runtimes) {
  switch (spec.runtime) {
    case RuntimeChoice::kDocker:
      return RuntimeKind::kDocker;
    case RuntimeChoice::kContainerd:
      return RuntimeKind::kContainerd;
    case RuntimeChoice::kProcess:
      return RuntimeKind::kProcess;
    case RuntimeChoice::kAuto:
      break;
  }
  if (!std::holds_alternative<ImageSource>(spec.source)) return RuntimeKind::kProcess;
  const bool containerd = runtimes.contains(RuntimeKind::kContainerd) && !runtimes.contains(RuntimeKind::kDocker);
  return containerd ? RuntimeKind::kContainerd : RuntimeKind::kDocker;
}

ReconcileResult ServerReconciler::Reconcile(const ServerKey& key, ServerRecord* record,
                                            const std::vector<Outcome>& inbox) {
  ReconcileResult result;
  for (const Outcome& outcome : inbox) TakeIn(record, outcome);
  Look look;
  for (int round = 0; round < kMaxRounds; ++round) {
    result.wake = MonoTime::max();
    if (result.status = Refresh(record); !result.status.ok()) break;
    look = Look{};
    Observe(key, record, &look);
    look.actions = Plan(look.desired.get(), look.observed, look.now);
    bool acted = false, failed = false, several = false;
    for (const Action& action : look.actions) {
      if (const auto* wait = std::get_if<WaitUntil>(&action)) {
        result.wake = std::min(result.wake, wait->when);
        continue;
      }
      if (std::holds_alternative<Also>(action)) {
        several = true;
        failed = false;
        continue;
      }
      if (failed) continue;
      if (const Status status = Run(key, record, look, action); !status.ok()) {
        if (result.status.ok()) result.status = status;
        failed = true;
        continue;
      }
      // These answer through the inbox.
      const bool probe = std::holds_alternative<Verify>(action) || std::holds_alternative<Ping>(action);
      const bool later = probe || std::holds_alternative<PullArtifact>(action);
      acted = acted || !later || Answered(*record, action);
    }
    if (!result.status.ok()) {
      // What does not depend on what failed keeps its time.
      if (!several) result.wake = MonoTime::max();
      break;
    }
    if (!acted) break;
    result.wake = look.now;  // out of rounds: at once again
  }
  if (look.snapshot == nullptr) Observe(key, record, &look);
  result.gone = look.desired == nullptr && look.observed.instances.empty() && look.observed.removals_allowed;
  WriteStatus(key, record, look, &result.wrote_status);
  Note(key, record, result.gone);
  return result;
}

void ServerReconciler::TakeIn(ServerRecord* record, const Outcome& outcome) {
  const MonoTime now = w_.deps.clock.Now();
  const auto with = [record](const std::string& incarnation, auto take_in) {
    for (auto& [id, instance] : record->instances) {
      if (instance.probe.incarnation == incarnation) take_in(ProbesOf(*record, id), &instance.probe);
    }
  };
  const auto artifact_of = [record](const std::string& revision) -> ArtifactState* {
    auto it = record->revisions.find(revision);
    return it == record->revisions.end() ? nullptr : &it->second.artifact;
  };
  if (const auto* pull = std::get_if<PullDone>(&outcome)) {
    ArtifactState* artifact = artifact_of(pull->revision);
    if (artifact == nullptr) return;  // of a revision that is not of interest any more
    if (pull->artifact.ok()) {
      artifact->phase = ArtifactState::Phase::kReady;
      artifact->artifact = *pull->artifact;
      artifact->failures = 0;
      artifact->message.clear();
      return;
    }
    artifact->phase = ArtifactState::Phase::kFailed;
    artifact->message = Printable(Message(pull->artifact.status()), 1024);
    artifact->retry_at = now + BackOff(kPullRetryFirst, kPullRetryLast, ++artifact->failures, chance_.Next());
  } else if (const auto* progress = std::get_if<PullProgressed>(&outcome)) {
    ArtifactState* artifact = artifact_of(progress->revision);
    if (artifact != nullptr && artifact->phase == ArtifactState::Phase::kPulling) artifact->message = progress->message;
  } else if (const auto* verify = std::get_if<VerifyDone>(&outcome)) {
    with(verify->incarnation, [&](const Probes& probes, ProbeState* probe) {
      RecordVerify(verify->result, probes, now, chance_.Next(), probe);
    });
  } else if (const auto* ping = std::get_if<PingDone>(&outcome)) {
    with(ping->incarnation,
         [&](const Probes& probes, ProbeState* probe) { RecordPing(ping->result, probes, now, probe); });
  } else if (std::holds_alternative<CatalogChanged>(outcome)) {
    for (auto& [id, instance] : record->instances) NoteCatalogChanged(now, &instance.probe);
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
  look->now = w_.deps.clock.Now();
  look->snapshot = w_.deps.desired.Current();
  auto it = look->snapshot->servers.find(key);
  if (it != look->snapshot->servers.end()) look->newest = it->second;
  Observed& observed = look->observed;
  observed.removals_allowed = look->snapshot->removals_allowed;
  if (w_.draining()) {
    if (look->newest != nullptr && !OnHold(*look->newest)) record->grace = look->newest->spec.termination_grace;
    look->newest = nullptr;
    observed.removals_allowed = true;
  }
  if (look->newest != nullptr) {
    look->newest = Deliverable(record, look->newest);
    Recall(key, record, *look->newest);
  }
  look->desired = InForce(record, look->newest);
  const bool hold = look->desired == nullptr || OnHold(*look->desired);
  if (look->desired != nullptr) {
    record->known = true;
    NoteSpec(record, *look);
    if (!hold) {
      record->grace = look->desired->spec.termination_grace;
      ObserveRuntime(*look->desired, &observed);
    }
  }
  observed.known = record->known;
  observed.grace = record->grace;
  ObserveInstances(key, record, look);
  ObserveUse(key, look);
  NoteVanished(key, record, *look);
  FillIn(*record, look->desired.get(), &observed);
  NoteExits(key, record, *look);
  NoteIncarnations(record, *look);
  FillIn(*record, look->desired.get(), &observed);
  if (!hold) {
    NoteProgress(record, *look);
    const bool used = Find(observed, record->pending_instance) != nullptr;
    if (record->pending_instance.empty() || record->pending_revision != look->desired->revision || used) {
      record->pending_instance = NewInstanceId(key, look->desired->revision, chance_);
      record->pending_revision = look->desired->revision;
    }
    observed.new_instance = record->pending_instance;
    FillIn(*record, look->desired.get(), &observed);
  }
  ForgetRevisions(record, *look);
  record->looked = true;
}

// The newest spec, or what was in force before it when its roll-out was taken back.
std::shared_ptr<const DesiredServer> ServerReconciler::InForce(
    ServerRecord* record, const std::shared_ptr<const DesiredServer>& newest) const {
  if (newest == nullptr || OnHold(*newest) || !record->undone) return newest;
  const UndoneSpec& undone = *record->undone;
  if (undone.uid == newest->uid && undone.generation == newest->generation && undone.revision == newest->revision) {
    return undone.before;
  }
  record->undone.reset();
  return newest;
}

std::shared_ptr<const DesiredServer> ServerReconciler::Deliverable(
    ServerRecord* record, const std::shared_ptr<const DesiredServer>& newest) const {
  if (OnHold(*newest) || !NeedsDelivery(newest->spec)) return newest;
  const auto runtime = w_.deps.runtimes.find(ChooseRuntime(newest->spec, w_.deps.runtimes));
  const std::string why = runtime == w_.deps.runtimes.end() ? "" : runtime->second->WhyNoSecrets(newest->spec);
  if (why.empty()) return newest;
  // The same object as long as nothing changes: others compare it.
  if (record->undeliverable_of != newest || record->undeliverable->unresolved_message != why) {
    auto copy = std::make_shared<DesiredServer>(*newest);
    copy->unresolved_reason = "SecretNotDeliverable";
    copy->unresolved_message = why;
    record->undeliverable_of = newest;
    record->undeliverable = std::move(copy);
  }
  return record->undeliverable;
}

void ServerReconciler::ObserveUse(const ServerKey& key, Look* look) const {
  if (w_.deps.traffic == nullptr) return;
  look->observed.traffic = true;
  look->observed.last_used = w_.deps.traffic->LastUsed(key);
  for (InstanceView& view : look->observed.instances) {
    view.conversations = w_.deps.traffic->Conversations(view.report.id);
  }
}

// A roll-out is over, and a server awake, once the wanted revision is verified.
void ServerReconciler::NoteProgress(ServerRecord* record, const Look& look) const {
  const InstanceView* wanted = WantedInstance(*look.desired, look.observed);
  const InstanceView* old = OldInstance(*look.desired, look.observed);
  const bool verified = wanted != nullptr && wanted->probe.verified;
  if (record->rollout && old != nullptr && old->probe.verified) record->rollout->state.old_was_good = true;
  if (verified) record->rollout.reset();
  if (verified && record->sleep.phase == SleepState::Phase::kWaking) {
    record->sleep.phase = SleepState::Phase::kAwake;
    record->sleep.since = look.now;
  }
}

void ServerReconciler::ForgetRevisions(ServerRecord* record, const Look& look) {
  std::set<std::string> kept = {record->before};
  if (record->current != nullptr) kept.insert(record->current->revision);
  for (const InstanceView& view : look.observed.instances) kept.insert(view.report.revision);
  if (record->rollout && record->rollout->state.before != nullptr) {
    kept.insert(record->rollout->state.before->revision);
  }
  if (record->undone) kept.insert(record->undone->before->revision);
  std::erase_if(record->revisions, [&](const auto& entry) { return !kept.contains(entry.first); });
}

void ServerReconciler::ObserveRuntime(const DesiredServer& desired, Observed* observed) {
  observed->runtime = ChooseRuntime(desired.spec, w_.deps.runtimes);
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
  const MonoTime now = w_.deps.clock.Now();
  const WallTime wall = w_.deps.clock.Wall();
  // A clock that was put back must not make anything last longer than it would from now on.
  const auto since = [&](WallTime then) {
    return then >= wall ? now : now - std::min<Duration>(wall - then, kLongAgo);
  };
  record->generation = memory->generation;
  record->recalled_revision = memory->revision;
  record->recalled_policy = memory->policy;
  record->revisions[memory->revision].restart = std::move(memory->restart);
  for (NotedRevision& other : memory->others) {
    RevisionRecord& revision = record->revisions[other.server.revision];
    if (other.server.revision != memory->revision) revision.restart = std::move(other.restart);
    other.server.key = key;
    revision.artifact.revision = other.server.revision;
    revision.spec = std::make_shared<const DesiredServer>(std::move(other.server));
  }
  for (auto& [instance, exit] : memory->accounted_exits) record->instances[instance].accounted_exit = exit;
  for (auto& [instance, at] : memory->drains) {
    record->instances[instance].draining_at = at;
    record->instances[instance].draining_since = since(at);
  }
  if (memory->rollout) {
    const NotedRollout& noted = *memory->rollout;
    record->rollout = Rollout{noted.revision, noted.since, {since(noted.since), noted.old_was_good, nullptr}};
    record->rollout->state.before = SpecOf(*record, noted.before);
    // While no mcplet was there nobody asked it: it gets a chance to answer.
    MonoTime& begun = record->rollout->state.since;
    const Duration deadline = desired.spec.update_strategy.progress_deadline;
    begun = std::max(begun, now - std::max<Duration>(deadline - kRolloutChance, Duration::zero()));
  }
  if (memory->undone) {
    std::shared_ptr<const DesiredServer> before = SpecOf(*record, memory->undone->before);
    if (before != nullptr) {
      record->undone = UndoneSpec{memory->uid, memory->undone->revision, memory->undone->generation,
                                  memory->undone->message, before};
    }
  }
  record->sleep = std::move(memory->sleep);
  record->oom_kills = std::move(memory->oom_kills);
}

void ServerReconciler::Note(const ServerKey& key, ServerRecord* record, bool gone) {
  if (w_.deps.notebook == nullptr || record->current == nullptr) return;
  const MonoTime now = w_.deps.clock.Now();
  const DesiredServer& current = *record->current;
  ServerMemory memory;
  memory.uid = current.uid;
  memory.generation = record->generation;
  memory.revision = current.revision;
  memory.policy = current.spec.restart_policy;
  memory.restart = RestartOf(*record, current.revision);
  memory.oom_kills = record->oom_kills;
  memory.sleep = record->sleep;
  std::set<std::string> others;
  for (const auto& [id, report] : record->seen) {
    if (report.revision != current.revision) others.insert(report.revision);
    const InstanceMemory& instance = record->instances[id];
    if (!instance.accounted_exit.empty()) memory.accounted_exits[id] = instance.accounted_exit;
    if (instance.draining_since) memory.drains[id] = instance.draining_at;
    // Its next end begins a new count; the next mcplet could not know.
    if (report.revision == current.revision &&
        HealthyFor(instance.probe, now) >= current.spec.restart_policy.reset_after) {
      memory.restart.attempts = memory.restart.failures = 0;
    }
  }
  if (record->rollout) {
    const RolloutState& state = record->rollout->state;
    memory.rollout = NotedRollout{record->rollout->revision, record->rollout->at, state.old_was_good, ""};
    if (state.before != nullptr) others.insert(memory.rollout->before = state.before->revision);
  }
  if (record->undone) {
    const UndoneSpec& undone = *record->undone;
    memory.undone = NotedUndone{undone.revision, undone.generation, undone.message, undone.before->revision};
    others.insert(undone.before->revision);
  }
  for (const std::string& revision : others) {
    if (SpecOf(*record, revision) == nullptr) continue;
    memory.others.push_back({*SpecOf(*record, revision), RestartOf(*record, revision)});
  }
  std::string text = gone ? "" : EncodeMemory(memory);
  if (text == record->noted) return;
  record->noted = text;
  w_.deps.notebook->Write(key, std::move(text));
}

// Keeps the specs by revision, and gives a changed one a new chance.
void ServerReconciler::NoteSpec(ServerRecord* record, const Look& look) {
  const DesiredServer& desired = *look.desired;
  if (OnHold(desired)) return;
  const bool first = record->current == nullptr;
  const bool other_revision = first || record->current->revision != desired.revision;
  const bool changed = other_revision || record->generation != desired.generation ||
                       record->suspended != desired.spec.suspend || record->current->uid != desired.uid ||
                       record->current->spec.restart_policy != desired.spec.restart_policy;
  RevisionRecord& revision = record->revisions[desired.revision];
  if (other_revision) {
    record->before = first ? record->recalled_revision : record->current->revision;
    // What people look at goes on.
    const RestartState before = RestartOf(*record, record->before);
    if (revision.restart.last_reason.empty()) revision.restart = before;
    revision.restart.count = std::max(revision.restart.count, before.count);
    if (revision.artifact.phase == ArtifactState::Phase::kFailed) {
      revision.artifact.phase = ArtifactState::Phase::kAbsent;
    }
  }
  // Other credentials are worth another try.
  const bool other_credentials = !first && record->current->pull_secret_version != desired.pull_secret_version;
  if (other_credentials && revision.artifact.phase == ArtifactState::Phase::kFailed) {
    revision.artifact.phase = ArtifactState::Phase::kAbsent;
  }
  revision.artifact.revision = desired.revision;
  revision.spec = look.desired;
  if (changed) {
    const bool as_noted = record->generation == desired.generation && record->recalled_revision == desired.revision &&
                          record->recalled_policy == desired.spec.restart_policy;
    if (!first || !as_noted) {
      RecordNewSpec(&revision.restart);
      record->rollout.reset();
    }
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
  const std::optional<RuntimeKind> touched = Touches(action, look.observed.runtime);
  const std::optional<RestartAsked> restart = AskedRestart(action);
  if (const std::string id = InstanceOf(action); !id.empty()) record->leaving.insert(id);
  const Duration healthy_for =
      restart ? HealthyFor(record->instances[restart->instance].probe, w_.deps.clock.Now()) : Duration::zero();
  // They may end before the next look.
  if (const auto* start = std::get_if<StartInstance>(&action)) record->instances[start->instance].ran = true;
  if (const auto* start = std::get_if<StartMain>(&action)) record->instances[start->instance].ran = true;
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
    const InstanceView* view = Find(look.observed, restart->instance);
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
  std::optional<ProbeTarget> target = Target(key, *record, look, Find(look.observed, instance));
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
  FillIn(*record, look.desired.get(), &observed);
  StatusInput input{key, look.desired.get(), &observed, record->failure, w_.deps.clock.Now(), w_.deps.clock.Wall(), {},
                    {},  look.newest.get()};
  if (w_.deps.endpoint_of) input.endpoint = w_.deps.endpoint_of(key);
  if (w_.deps.exposure_of) input.exposure = w_.deps.exposure_of(key);
  ServerStatus status = BuildStatus(input, record->status ? &*record->status : nullptr);
  const bool was_ready = record->status && IsReady(*record->status);
  const bool ready = IsReady(status);
  const bool same = record->status && SameStatus(*record->status, status);

  ServerView view;
  view.status = status;
  const InstanceView* serving = ServingInstance(look.desired.get(), observed);
  view.target = Target(key, *record, look, serving);
  if (serving != nullptr) view.instance = serving->report;
  ClientInput client{look.desired, record->current, nullptr, {}, &observed, &status};
  if (serving != nullptr) {
    client.serving = SpecOf(*record, serving->report.revision);
    client.artifact = record->revisions[serving->report.revision].artifact;
  }
  view.client = ClientTargetFor(client);
  w_.publish(key, &view);
  if (ready != was_ready && look.desired != nullptr) {
    const Condition* condition = FindCondition(status.conditions, "Ready");
    if (ready) {
      w_.deps.events.Record(key, "Normal", "Ready",
                            "answers MCP: " + FindCondition(status.conditions, "Verified")->message);
    } else if (record->status && !observed.rollout) {
      w_.deps.events.Record(key, "Warning", "NotReady",
                            condition->reason + (condition->message.empty() ? "" : ": " + condition->message));
    }
  }
  const auto late = [](const ServerStatus& of) {
    const Condition* progressing = FindCondition(of.conditions, "Progressing");
    return progressing != nullptr && progressing->reason == "ProgressDeadlineExceeded" ? progressing->message : "";
  };
  if (!late(status).empty() && observed.undone.empty() && (!record->status || late(*record->status).empty())) {
    w_.deps.events.Record(key, "Warning", "ProgressDeadlineExceeded", late(status));
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
