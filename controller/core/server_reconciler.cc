#include "controller/core/server_reconciler.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "controller/core/client_target.h"
#include "controller/core/server_memory.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr Duration kListTimeout = seconds(20);
constexpr Duration kFirstAnswerPatience = seconds(3);
// A plan that never comes to rest is a defect; the queue goes on with the next server and comes back.
constexpr int kMaxRounds = 8;
// What a new mcplet leaves of a roll-out's deadline at least.
constexpr Duration kRolloutChance = seconds(60);
// Longer ago than anything here lasts.
constexpr Duration kLongAgo = std::chrono::hours(24 * 30);
constexpr Duration kPullRetryFirst = seconds(2);

// A probe that could not be asked has been dealt with.
bool Answered(const ServerRecord& record, const Action& action) {
  const auto* verify = std::get_if<Verify>(&action);
  const auto* ping = std::get_if<Ping>(&action);
  if (verify == nullptr && ping == nullptr) return false;
  auto it = record.instances.find(verify != nullptr ? verify->instance : ping->instance);
  return it == record.instances.end() || it->second.probe.in_flight == ProbeKind::kNone;
}

RestartState RestartOf(const ServerRecord& record, const std::string& revision) {
  auto it = record.revisions.find(revision);
  return it == record.revisions.end() ? RestartState{} : it->second.restart;
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
    if (result.status = Refresh(key, record); !result.status.ok()) break;
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
Status ServerReconciler::Refresh(const ServerKey& key, ServerRecord* record) {
  for (auto it = record->look_after.begin(); it != record->look_after.end();) {
    const auto& [runtime, instance] = it->first;
    RETURN_IF_ERROR(w_.cache.Look(runtime, instance, it->second, Deadline::After(kListTimeout), &key));
    it = record->look_after.erase(it);
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
    const bool used = FindInstance(observed, record->pending_instance) != nullptr;
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
