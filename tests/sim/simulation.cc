#include "tests/sim/simulation.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/digest.h"
#include "base/log.h"
#include "controller/core/plan.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kServers = 4;
constexpr int kMaxStepsAtOnce = 3000;
constexpr size_t kTraceLines = 120;

ServerKey KeyOf(size_t i) { return {"default", "s" + std::to_string(i)}; }

std::string DigestOf(const ServerSpec& spec) {
  std::string source;
  if (const auto* image = std::get_if<ImageSource>(&spec.source)) source = image->ref;
  if (const auto* package = std::get_if<PackageSource>(&spec.source)) source = package->name + "@" + package->version;
  return "sha256:" + Sha256Hex(source);
}

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text != nullptr ? strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

std::vector<uint64_t> Seeds() {
  const bool one = getenv("MCPFLEET_SEED") != nullptr;
  std::vector<uint64_t> seeds(one ? 1 : NumberFrom("MCPFLEET_SEEDS", 600));
  std::iota(seeds.begin(), seeds.end(), NumberFrom(one ? "MCPFLEET_SEED" : "MCPFLEET_FIRST_SEED", 1));
  return seeds;
}

StatusOr<std::string> FaultySessionHost::Prepare(const std::string& instance) {
  const FakeFault fault = simulation_.Fault("Prepare", instance);
  if (fault == FakeFault::kFailBefore) return ResourceExhausted("injected: no space left on device");
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"Prepare", instance};
  StatusOr<std::string> directory = inner_.Prepare(instance);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"Prepare", instance};
  if (fault == FakeFault::kFailAfter) return Unavailable("injected after Prepare");
  return directory;
}

void FaultySessionHost::Expect(const std::string& instance, int pid) {
  const FakeFault fault = simulation_.Fault("Expect", instance);
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"Expect", instance};
  inner_.Expect(instance, pid);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"Expect", instance};
}

Status FaultySessionHost::StartMain(const std::string& instance, const std::vector<std::string>& argv,
                                    const std::vector<EnvVar>& env, Transport transport, Deadline deadline) {
  const FakeFault fault = simulation_.Fault("StartMain", instance);
  if (fault == FakeFault::kFailBefore) return Unavailable("injected before StartMain");
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"StartMain", instance};
  Status status = inner_.StartMain(instance, argv, env, transport, deadline);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"StartMain", instance};
  if (fault == FakeFault::kFailAfter) return DeadlineExceeded("injected after StartMain");
  return status;
}

Status FaultySessionHost::StopMain(const std::string& instance, Duration grace, Deadline deadline) {
  const FakeFault fault = simulation_.Fault("StopMain", instance);
  if (fault == FakeFault::kFailBefore) return Unavailable("injected before StopMain");
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"StopMain", instance};
  Status status = inner_.StopMain(instance, grace, deadline);
  simulation_.ChildEnded(instance);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"StopMain", instance};
  if (fault == FakeFault::kFailAfter) return DeadlineExceeded("injected after StopMain");
  return status;
}

void FaultySessionHost::Forget(const std::string& instance) {
  const FakeFault fault = simulation_.Fault("Forget", instance);
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"Forget", instance};
  inner_.Forget(instance);
}

Simulation::Simulation(uint64_t seed) : random_(seed), seed_(seed) {
  meant_.removals_allowed = true;
  meant_.head = "1.1.0";
  for (FakeEngine* engine : {&docker_, &process_}) {
    const RuntimeKind kind = engine == &docker_ ? RuntimeKind::kDocker : RuntimeKind::kProcess;
    engine->SetListener([this, kind](const std::string& id) {
      SyncSessions();
      CheckWorld();
      if (controller_) controller_->NotifyRuntimeEvent(kind, id);
    });
    engine->AddForeign("postgres");
  }
  prober_.Script([this](const ProbeTarget& target, bool) -> Status {
    auto it = broken_until_.find(target.server);
    const bool broken = it != broken_until_.end() && it->second > clock_.Now();
    if (!broken) NoteVerified(target.server, target.instance);
    if (!broken) known_.insert(target.instance);
    return broken ? DeadlineExceeded("scripted: no answer") : OkStatus();
  });
}

Simulation::~Simulation() { controller_.reset(); }

FakeFault Simulation::Fault(std::string_view verb, const std::string& id) {
  Trace("    " + std::string(verb) + " " + id);
  if (verb == "Stop" || verb == "Remove" || verb == "StopMain") CheckStop(std::string(verb), id);
  if (verb == "Create") CheckCreate(id);
  if (Chance() >= fault_rate_) return FakeFault::kNone;
  // Crashes are rarer than failures: most of a life is spent between them.
  const double which = Chance();
  FakeFault fault = which < 0.4   ? FakeFault::kFailBefore
                    : which < 0.8 ? FakeFault::kFailAfter
                    : which < 0.9 ? FakeFault::kCrashBefore
                                  : FakeFault::kCrashAfter;
  Trace("      fault " + std::to_string(static_cast<int>(fault)));
  return fault;
}

FakeFault Simulation::RuntimeFault(RuntimeKind kind, FakeEngine& engine, std::string_view verb, const std::string& id) {
  const FakeFault fault = Fault(verb, id);
  if (verb == "List" && fault == FakeFault::kNone && !down_.contains(&engine)) answered_.insert(kind);
  return fault;
}

void Simulation::Trace(std::string line) {
  if (getenv("MCPFLEET_SEED") != nullptr) fprintf(stderr, "%s\n", line.c_str());
  for (const char c : line) fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  trace_.push_back(std::move(line));
  if (trace_.size() > kTraceLines) trace_.pop_front();
}

void Simulation::Break(const std::string& what) {
  if (!broken_.empty()) return;
  Trace("BROKEN: " + what);
  broken_ = what + "\nlast steps:\n";
  for (const std::string& line : trace_) broken_ += "  " + line + "\n";
}

void Simulation::Boot(bool power_lost) {
  controller_.reset();
  inner_sessions_.AgentRestarts();
  traffic_.AgentRestarts();
  used_.clear();  // whoever asked lost his connection with mcplet
  known_.clear();
  StoreReboot(power_lost);
  booted_ = clock_.Now();
  answered_.clear();
  docker_runtime_ =
      std::make_unique<FakeRuntime>(docker_, FakeRuntimeOptions{.node = "edge", .kind = RuntimeKind::kDocker});
  process_runtime_ =
      std::make_unique<FakeRuntime>(process_, FakeRuntimeOptions{.node = "edge", .kind = RuntimeKind::kProcess});
  docker_runtime_->SetFaultHook([this](std::string_view verb, const std::string& id) {
    return RuntimeFault(RuntimeKind::kDocker, docker_, verb, id);
  });
  process_runtime_->SetFaultHook([this](std::string_view verb, const std::string& id) {
    return RuntimeFault(RuntimeKind::kProcess, process_, verb, id);
  });
  ControllerOptions options;
  options.pull_threads = 0;
  options.probe_threads = 0;
  controller_ = std::make_unique<Controller>(
      ControllerDeps{{{RuntimeKind::kDocker, docker_runtime_.get()}, {RuntimeKind::kProcess, process_runtime_.get()}},
                     sessions_,
                     prober_,
                     view_,
                     status_,
                     events_,
                     metrics_,
                     clock_,
                     random_(),
                     "edge",
                     &notebook_,
                     nullptr,
                     &traffic_},
      options);
}

void Simulation::Crash() {
  Trace("  mcplet dies and comes back");
  Boot();
}

// One step of the controller, which may be its last.
void Simulation::Step() {
  bool more = true;
  try {
    more = controller_->RunOne();
  } catch (const FakeCrash& crash) {
    Trace("  crash in " + crash.verb + " " + crash.id);
    Boot();
  }
  SyncSessions();
  CheckWorld();
  (void)more;
}

void Simulation::RunDue() {
  int steps = 0;
  while (broken_.empty() && controller_->NextDue() <= clock_.Now()) {
    Step();
    if (++steps > kMaxStepsAtOnce) Break("the controller does not come to rest");
  }
}

std::vector<FakeContainer> Simulation::Containers() const {
  std::vector<FakeContainer> all = docker_.Containers();
  for (FakeContainer& container : process_.Containers()) all.push_back(std::move(container));
  return all;
}

const DesiredServer* Simulation::Wanted(const ServerKey& key) const {
  auto snapshot = view_.Current();
  auto it = snapshot->servers.find(key);
  return it == snapshot->servers.end() ? nullptr : it->second.get();  // held by the snapshot in view_
}

// A shim lives as long as its container, and its children with it.
void Simulation::SyncSessions() {
  std::set<std::string> running;
  for (const FakeContainer& container : Containers()) {
    if (container.report.state == InstanceState::kRunning) running.insert(container.report.id);
  }
  std::vector<std::string> died;
  std::set_difference(live_.begin(), live_.end(), running.begin(), running.end(), std::back_inserter(died));
  live_ = running;
  for (const std::string& id : died) {
    inner_sessions_.InstanceDies(id);
    verified_.erase(id);
    superseded_.erase(id);
  }
}

void Simulation::NoteVerified(const ServerKey& key, const std::string& instance) {
  if (instance.empty()) return;
  verified_.insert(instance);
  const DesiredServer* wanted = Wanted(key);
  const std::vector<FakeContainer> all = Containers();
  const auto it = std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.report.id == instance; });
  if (it == all.end()) return;
  const bool is_wanted = wanted != nullptr && Matches(it->report, *wanted);
  if (is_wanted) superseded_.erase(instance);
  for (const FakeContainer& container : all) {
    const bool other = container.report.server == key && container.report.revision != it->report.revision;
    // A newer one takes over, and one that is wanted again.
    if (other && (is_wanted || container.report.created_at < it->report.created_at)) {
      superseded_.emplace(container.report.id, clock_.Now());
    }
  }
}

std::string Simulation::ReasonOf(const ServerKey& key, const char* type) const {
  const std::optional<ServerStatus> status = controller_->StatusOf(key);
  const Condition* condition = status ? FindCondition(status->conditions, type) : nullptr;
  return condition == nullptr ? "" : condition->reason;
}

void Simulation::ClientActs() {
  const ServerKey key = KeyOf(Pick(kServers));
  const StatusOr<ClientTarget> target = controller_->ClientTargetOf(key);
  if (!target.ok()) return;
  if (Chance() < 0.6) {
    used_[key] = clock_.Now();
    if (target->ready) traffic_.Converse(key, target->instance, traffic_.Conversations(target->instance) + 1);
    Trace("  a client asks for " + key.name + " at " + (target->ready ? target->instance : target->reason));
    traffic_.Use(key);
  } else {
    for (const FakeContainer& container : Containers()) {
      if (container.report.server == key) traffic_.Converse(key, container.report.id, 0);
    }
    Trace("  the clients of " + key.name + " leave");
  }
}

void Simulation::CheckWorld() {
  std::map<ServerKey, std::set<std::string>> running, there;
  std::map<ServerKey, int> instances;
  for (const FakeContainer& container : Containers()) {
    if (container.report.state == InstanceState::kRunning) {
      running[container.report.server].insert(container.report.revision);
      ++instances[container.report.server];
    }
    there[container.report.server].insert(container.report.revision);
    // Also one that answered before it was wanted takes over.
    if (verified_.contains(container.report.id)) NoteVerified(container.report.server, container.report.id);
    if (!ever_[container.report.server].contains(container.report.revision)) {
      Break("instance " + container.report.id + " has a revision that nobody ever wanted");
    }
  }
  for (const auto& [key, revisions] : running) {
    if (there[key].size() <= 1) {
      excused_.erase(key);
      beside_.erase(key);
    }
    if (excused_.contains(key)) continue;
    if (revisions.size() > 1 && !beside_.contains(key)) {
      Break("two revisions of " + ToString(key) + " run at once");
    }
    if (instances[key] > 2) Break(std::to_string(instances[key]) + " instances of " + ToString(key) + " run at once");
  }
  if (!docker_.HasForeign("postgres") || !process_.HasForeign("postgres")) Break("a foreign container was touched");
}

void Simulation::CheckStop(const std::string& verb, const std::string& id) {
  const std::vector<FakeContainer> all = Containers();
  auto it = std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.report.id == id; });
  // Stopping what is not there or does not run harms nobody.
  if (it == all.end() || it->report.state != InstanceState::kRunning) return;
  const ServerKey& key = it->report.server;
  const DesiredServer* wanted = Wanted(key);
  if (wanted == nullptr) {
    if (!view_.Current()->removals_allowed) Break(verb + " " + id + " while removals must wait");
    return;
  }
  auto broken = broken_until_.find(key);
  if (broken != broken_until_.end() && clock_.Now() < broken->second + minutes(5) && verb == "StopMain") return;
  if (OnHold(*wanted) && superseded_.contains(id)) return;
  if (OnHold(*wanted)) return Break(verb + " " + id + " although its new version was only rejected or is pending");
  if (wanted->spec.suspend || IsRemote(*wanted)) return;
  if (!Matches(it->report, *wanted)) {
    const auto artifacts =
        std::holds_alternative<ImageSource>(wanted->spec.source) ? docker_.Artifacts() : process_.Artifacts();
    // Of two that are old one is to go, whatever has become of the newest since it began to.
    const bool last = std::none_of(all.begin(), all.end(), [&](const FakeContainer& c) {
      return c.report.server == key && c.report.id != id && c.report.state == InstanceState::kRunning;
    });
    if (!artifacts.contains(DigestOf(wanted->spec)) && !superseded_.contains(id) && last)
      Break(verb + " " + id + " before the artifact of its successor is here");
    CheckStopOfOld(verb, it->report, *wanted);
    return;
  }
  const auto same = std::count_if(all.begin(), all.end(), [&](const auto& c) {
    return c.report.server == key && c.report.revision == it->report.revision;
  });
  if (same > 1) return;
  const bool rolls = UpdateTypeOf(wanted->spec) == UpdateType::kRollingUpdate;
  if (rolls && wanted->spec.update_strategy.auto_rollback && !verified_.contains(id)) return;
  if (wanted->spec.activation.mode == ActivationMode::kOnDemand) {
    if (traffic_.Conversations(id) > 0) return Break(verb + " " + id + " which has conversations");
    if (used_.contains(key) && clock_.Now() < used_[key] + wanted->spec.activation.idle_after) {
      return Break(verb + " " + id + " which was just used");
    }
    return;
  }
  Break(verb + " " + id + " which is wanted as it is");
}

void Simulation::CheckStopOfOld(const std::string& verb, const InstanceReport& report, const DesiredServer& wanted) {
  if (UpdateTypeOf(wanted.spec) != UpdateType::kRollingUpdate) return;
  // Deleted and applied again: another object, which takes nothing over from the one before.
  if (report.uid != wanted.uid) return;
  // What a roll-out was taken back to lives by its own spec.
  if (ReasonOf(report.server, "Progressing") == "ProgressDeadlineExceeded") return;
  const std::vector<FakeContainer> all = Containers();
  const bool another = std::any_of(all.begin(), all.end(), [&](const FakeContainer& c) {
    return c.report.server == report.server && c.report.id != report.id && verified_.contains(c.report.id);
  });
  // Of two old ones that it has not asked yet a new mcplet can't know which one answers.
  const bool blind = !known_.contains(report.id) && std::any_of(all.begin(), all.end(), [&](const FakeContainer& c) {
    return c.report.server == report.server && c.report.id != report.id && c.report.state == InstanceState::kRunning &&
           !Matches(c.report, wanted);
  });
  if (blind) return;
  const auto superseded = superseded_.find(report.id);
  if (verified_.contains(report.id) && !another && superseded == superseded_.end()) {
    return Break(verb + " " + report.id + ", the last instance that answers");
  }
  if (traffic_.Conversations(report.id) == 0) return;
  if (superseded == superseded_.end()) {
    return Break(verb + " " + report.id + " with conversations that nobody took over");
  }
  if (clock_.Now() < superseded->second + wanted.spec.update_strategy.drain_timeout) {
    Break(verb + " " + report.id + " with conversations, before its drainTimeout");
  }
}

void Simulation::CheckCreate(const std::string& id) {
  // "<name>-<revision>-<random>": the names here have no dash.
  const ServerKey key{"default", id.substr(0, id.find('-'))};
  const DesiredServer* wanted = Wanted(key);
  if (wanted == nullptr || OnHold(*wanted) || wanted->spec.suspend || IsRemote(*wanted)) {
    return Break("Create " + id + " which nobody wants");
  }
  // What a roll-out is taken back to is the other revision then.
  const bool rolls = UpdateTypeOf(wanted->spec) == UpdateType::kRollingUpdate;
  std::string revision = wanted->revision;
  for (const std::string& before : ever_[key]) {
    const bool undone = rolls && wanted->spec.update_strategy.auto_rollback;
    if (undone && id.starts_with(key.name + "-" + before.substr(0, 8) + "-")) revision = before;
  }
  if (!id.starts_with(key.name + "-" + revision.substr(0, 8) + "-"))
    return Break("Create " + id + " of another revision");
  int others = 0;
  for (const FakeContainer& container : Containers()) {
    if (container.report.server == key && container.report.id != id &&
        container.report.state == InstanceState::kRunning && container.report.revision != revision) {
      // A new mcplet waits 3 s for the first answer of an engine, then it can't know what runs there.
      if (!answered_.contains(container.report.runtime) && clock_.Now() >= booted_ + seconds(3)) {
        excused_.insert(key);
        continue;
      }
      if (rolls && revision == wanted->revision && ++others == 1) {
        beside_.insert(key);
        continue;
      }
      Break("Create " + id + " while another revision runs");
    }
  }
}

DesiredServer Simulation::Draw(const ServerKey& key) {
  DesiredServer server;
  server.key = key;
  server.uid = "uid-" + key.name;
  server.generation = ++generation_;
  const std::string version = "1.0." + std::to_string(Pick(3));
  if (Chance() < 0.1) {
    server.spec.source = RemoteSource{"https://mcp.test/" + version, {}};
  } else if (Chance() < 0.5) {
    server.spec.source = ImageSource{"registry.test/" + key.name + ":" + version};
  } else {
    server.spec.source = PackageSource{PackageManager::kNpm, key.name, version, ""};
  }
  server.spec.suspend = Chance() < 0.1;
  if (Chance() < 0.15)
    server.spec.restart_policy.condition = Chance() < 0.5 ? RestartCondition::kNever : RestartCondition::kOnFailure;
  if (Chance() < 0.1) server.spec.restart_policy.max_attempts = 3;
  UpdateStrategy& strategy = server.spec.update_strategy;
  if (Chance() < 0.3) strategy.type = UpdateType::kRecreate;
  strategy.drain_timeout = seconds(Pick(200));
  strategy.progress_deadline = seconds(30 + Pick(300));
  strategy.auto_rollback = Chance() < 0.7;
  if (Chance() < 0.25) server.spec.activation = {ActivationMode::kOnDemand, seconds(20 + Pick(300))};
  server.revision = RevisionOf(server.spec);
  return server;
}

void Simulation::EditDesired() {
  const ServerKey key = KeyOf(Pick(kServers));
  const double what = Chance();
  auto it = meant_.servers.find(key);
  if (what < 0.15) {
    Trace("  delete " + key.name);
    meant_.servers.erase(key);
  } else if (what < 0.25 && it != meant_.servers.end()) {
    auto server = std::make_shared<DesiredServer>(*it->second);
    server->spec.suspend = !server->spec.suspend;
    server->generation = ++generation_;
    Trace("  suspend " + key.name + " " + (server->spec.suspend ? "on" : "off"));
    it->second = server;
  } else if (what < 0.32 && it != meant_.servers.end()) {
    auto server = std::make_shared<DesiredServer>(*it->second);
    server->rejected_reason = server->rejected_reason.empty() ? "ForbiddenByNode" : "";
    server->generation = ++generation_;
    Trace("  reject " + key.name + " " + server->rejected_reason);
    it->second = server;
  } else if (what < 0.36) {
    meant_.removals_allowed = !meant_.removals_allowed;
    Trace(std::string("  removals ") + (meant_.removals_allowed ? "allowed" : "wait"));
  } else {
    DesiredServer server = Draw(key);
    const bool recreate = UpdateTypeOf(server.spec) == UpdateType::kRecreate;
    Trace("  apply " + key.name + " " + server.revision.substr(0, 8) + (recreate ? ", Recreate" : ", RollingUpdate") +
          (server.spec.activation.mode == ActivationMode::kOnDemand ? ", OnDemand" : ""));
    ever_[key].insert(server.revision);
    meant_.servers[key] = std::make_shared<DesiredServer>(std::move(server));
  }
  meant_.seen_at = clock_.Now();
  Publish();
  controller_->NotifyDesiredChanged();
}

// Something happens to the node.
void Simulation::World() {
  const double what = Chance();
  const std::vector<FakeContainer> all = Containers();
  FakeEngine& engine = Chance() < 0.5 ? docker_ : process_;
  if (what < 0.40) {
    EditDesired();
  } else if (what < 0.60 && !all.empty()) {
    static constexpr ExitInfo kExits[] = {{0, 0, false}, {1, 0, false}, {137, 9, false}, {137, 9, true}};
    const std::string& id = all[Pick(all.size())].report.id;
    Trace("  child of " + id + " ends");
    inner_sessions_.ExitMain(id, kExits[Pick(4)]);
    ChildEnded(id);
  } else if (what < 0.68 && !all.empty()) {
    const std::string& id = all[Pick(all.size())].report.id;
    Trace("  " + id + " is removed by hand");
    if (!docker_.Vanish(id)) process_.Vanish(id);
  } else if (what < 0.76 && !all.empty()) {
    const std::string& id = all[Pick(all.size())].report.id;
    Trace("  " + id + " is stopped by hand");
    if (!docker_.Exit(id, {137, 9, false})) process_.Exit(id, {137, 9, false});
  } else if (what < 0.80) {
    Trace("  an engine goes away");
    engine.SetDown(true);
    down_.insert(&engine);
  } else if (what < 0.86) {
    docker_.SetDown(false);
    process_.SetDown(false);
    down_.clear();
  } else if (what < 0.90) {
    const ServerKey key = KeyOf(Pick(kServers));
    Trace("  " + key.name + " stops answering");
    broken_until_[key] = clock_.Now() + seconds(Pick(200));
  } else if (what < 0.97) {
    Crash();
  } else {
    Trace("  the node reboots");
    docker_.Reboot();
    process_.Reboot();
    Boot(true);
  }
}

std::string Simulation::Run(int rounds) {
  Boot();
  for (int round = 0; round < rounds && broken_.empty(); ++round) {
    fault_rate_ = 0.08;
    if (Chance() < 0.6) World();
    if (Chance() < 0.3) ClientActs();
    StoreStep(true);
    const size_t steps = Pick(12);
    for (size_t i = 0; i < steps && broken_.empty() && controller_->NextDue() <= clock_.Now(); ++i) Step();
    if (Chance() < 0.5) RunDue();
    const double jump = Chance();
    if (jump < 0.3) {
      const MonoTime due = controller_->NextDue();
      if (due != MonoTime::max() && due > clock_.Now()) clock_.Advance(due - clock_.Now());
    } else if (jump < 0.6) {
      clock_.Advance(milliseconds(Pick(3000)));
    } else if (jump < 0.7) {
      clock_.Advance(seconds(Pick(180)));
    }
    Trace("round " + std::to_string(round) + " at " +
          std::to_string(std::chrono::duration_cast<milliseconds>(clock_.Now().time_since_epoch()).count()) + " ms");
  }
  if (broken_.empty()) Calm();
  return broken_.empty() ? "" : "seed " + std::to_string(seed_) + ": " + broken_;
}

// The faults stop; what is wanted must come about within a quarter of an hour (back-off ends at 5 min) and few steps.
void Simulation::Calm() {
  Trace("calm");
  fault_rate_ = 0;
  for (auto& [key, until] : broken_until_) until = std::min(until, clock_.Now());
  docker_.SetDown(false);
  process_.SetDown(false);
  down_.clear();
  meant_.removals_allowed = true;
  Publish();
  const MonoTime end = clock_.Now() + minutes(20);
  bool store_settled = false;
  while (broken_.empty()) {
    if (!store_settled) {
      store_settled = StoreStep(false);
    }
    controller_->NotifyDesiredChanged();
    RunDue();
    if (store_settled && Converged().empty()) return;
    if (clock_.Now() > end) break;
    const MonoTime due = controller_->NextDue();
    const Duration at_most = seconds(5);
    const Duration left = due == MonoTime::max() ? at_most : std::min<Duration>(due - clock_.Now(), at_most);
    clock_.Advance(std::max<Duration>(left, milliseconds(1)));
  }
  if (broken_.empty()) Break("not converged: " + (store_settled ? Converged() : "the store's reader has not settled"));
}

std::string Simulation::Converged() {
  std::map<ServerKey, std::vector<FakeContainer>> have;
  for (FakeContainer& container : Containers()) have[container.report.server].push_back(std::move(container));
  for (size_t i = 0; i < kServers; ++i) {
    const ServerKey key = KeyOf(i);
    auto wanted = meant_.servers.find(key);
    const std::vector<FakeContainer>& mine = have[key];
    if (wanted == meant_.servers.end() ||
        (!OnHold(*wanted->second) && (wanted->second->spec.suspend || IsRemote(*wanted->second)))) {
      if (!mine.empty()) return ToString(key) + " should have no instance";
      if (wanted == meant_.servers.end()) {
        if (controller_->StatusOf(key)) return ToString(key) + " should have no status";
        if (status_.Get(key) && controller_->Synced())
          continue;  // written by a mcplet that died: the next report drops it
        continue;
      }
    } else if (!OnHold(*wanted->second)) {
      auto status = controller_->StatusOf(key);
      if (!status) return ToString(key) + " has no status";
      const Condition* ready = FindCondition(status->conditions, "Ready");
      // The ends that a policy may have.
      const bool may_end = wanted->second->spec.restart_policy.condition != RestartCondition::kAlways ||
                           wanted->second->spec.restart_policy.max_attempts > 0;
      if (may_end && (ready->reason == "Failed" || ready->reason == "Completed")) continue;
      const UpdateStrategy& strategy = wanted->second->spec.update_strategy;
      const bool given_up = ReasonOf(key, "Progressing") == "ProgressDeadlineExceeded";
      const bool undone = given_up && strategy.auto_rollback && mine.size() <= 1;
      // Its own policy may have ended what it was taken back to.
      if (undone && (ready->reason == "Failed" || ready->reason == "Completed")) continue;
      if (given_up && may_end) continue;  // nothing good may have been left to go back to
      const bool asleep = ready->reason == "Sleeping";
      if (asleep && ready->status != ConditionStatus::kTrue) return ToString(key) + " sleeps and is not Ready";
      if (asleep && mine.empty()) continue;
      if (mine.size() != 1) {
        return ToString(key) + " has " + std::to_string(mine.size()) + " instances; " + ready->reason + ": " +
               ready->message;
      }
      const InstanceReport& report = mine[0].report;
      if (report.state != InstanceState::kRunning || (!undone && !Matches(report, *wanted->second)))
        return report.id + " is not what is wanted; " + ready->reason + ": " + ready->message;
      const bool runs = inner_sessions_.Main(report.id).phase == MainState::Phase::kRunning;
      if (runs == asleep)
        return report.id + (asleep ? " has a child; " : " has no running child; ") + ready->reason + ": " +
               ready->message;
      if (undone && ReasonOf(key, "Verified") == "Verified") continue;
      if (ready->status != ConditionStatus::kTrue) return ToString(key) + " is not Ready: " + ready->reason;
      if (status->observed_generation != wanted->second->generation) return ToString(key) + " has an old generation";
    }
  }
  return "";
}

}  // namespace mcpfleet
