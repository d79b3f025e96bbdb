// A container engine in memory, and the ContainerRuntime over it. Deterministic: time is the given Clock, ids and pids
// count up, nothing happens unless a verb or the test makes it happen.
//
//   FakeClock clock;
//   FakeEngine engine(clock);                       // the world: outlives a crash of the agent
//   FakeRuntime runtime(engine, {.node = "edge-01"});  // the agent's view: make a new one after each crash
//   engine.Exit("weather-1", {.code = 137, .oom = true});
//
// It refuses what reality refuses: an image that was never pulled, a name that is malformed, an engine that is down,
// starting what does not exist. tests/contract runs the same cases on it and on the real runtimes.
// Thread-safe. The fault hook and the listener are called without a lock held.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// What the first process of an instance does once started; by default it runs until told to stop and then exits 0.
struct FakeProgram {
  std::optional<ExitInfo> exits;   // at once
  bool ignores_term = false;       // Stop takes the whole grace and ends in SIGKILL
  std::string start_error;         // Start fails with it: "exec: no such file"
  std::vector<std::string> lines;  // on stderr at each start
  int64_t memory_bytes = int64_t{1} << 20;
};

struct FakeContainer {
  InstanceReport report;
  std::string node;  // label; "" for a container that is not ours
  FakeProgram program;
  std::vector<std::pair<WallTime, std::string>> lines, previous_lines;
  int64_t oom_kills = 0;
  int starts = 0;
};

class FakeEngine {
 public:
  explicit FakeEngine(const Clock& clock) : clock_(clock) {}

  // --- what a test does to the world behind the agent's back ---
  // What instances run from now on, by spec. Default: FakeProgram{}.
  void SetProgram(std::function<FakeProgram(const InstanceSpec&)> program) LOCKS_EXCLUDED(mu_);
  // The first process ends. False when it does not run.
  // The kernel killed a process in it for want of memory, not its first one.
  void CountOomKill(const std::string& id);
  bool Exit(const std::string& id, ExitInfo exit) LOCKS_EXCLUDED(mu_);
  // `docker rm -f` by hand. False when absent.
  bool Vanish(const std::string& id) LOCKS_EXCLUDED(mu_);
  // The machine went down and came back: everything that ran has exited (137), nothing is forgotten.
  void Reboot() LOCKS_EXCLUDED(mu_);
  // Containers of other people; no runtime may ever see or touch them.
  void AddForeign(const std::string& name) LOCKS_EXCLUDED(mu_);
  bool HasForeign(const std::string& name) const LOCKS_EXCLUDED(mu_);
  // While down every verb answers Unavailable and event streams break; containers run on.
  void SetDown(bool down) LOCKS_EXCLUDED(mu_);
  // Images that a pull can't find.
  void SetUnpullable(const std::string& ref, bool unpullable) LOCKS_EXCLUDED(mu_);
  // Called after each change, from the thread that made it, with no lock held.
  void SetListener(std::function<void(const std::string& id)> changed) LOCKS_EXCLUDED(mu_);

  // --- what a test asks ---
  std::vector<FakeContainer> Containers() const LOCKS_EXCLUDED(mu_);
  std::optional<FakeContainer> Find(const std::string& id) const LOCKS_EXCLUDED(mu_);
  std::set<std::string> Artifacts() const LOCKS_EXCLUDED(mu_);
  uint64_t changes() const LOCKS_EXCLUDED(mu_);
  // How long the last Stop of a running process would have waited.
  Duration last_grace() const LOCKS_EXCLUDED(mu_);

 private:
  friend class FakeRuntime;
  using World = std::map<std::string, FakeContainer>;
  void Changed(const std::string& id) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndProcess(FakeContainer& container, ExitInfo exit) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Notify(const std::string& id) LOCKS_EXCLUDED(mu_);

  const Clock& clock_;
  mutable Mutex mu_;
  CondVar changed_;
  World world_ GUARDED_BY(mu_);
  std::deque<World> history_ GUARDED_BY(mu_);  // worlds before the last changes, newest first, bounded
  std::deque<std::pair<uint64_t, std::string>> events_ GUARDED_BY(mu_);  // bounded
  uint64_t sequence_ GUARDED_BY(mu_) = 0;
  std::map<std::string, std::string> artifacts_ GUARDED_BY(mu_);  // digest -> source, in pull order by pulled_
  std::vector<std::string> pulled_ GUARDED_BY(mu_);
  std::set<std::string> unpullable_ GUARDED_BY(mu_);
  std::set<std::string> foreign_ GUARDED_BY(mu_);
  std::function<FakeProgram(const InstanceSpec&)> program_ GUARDED_BY(mu_);
  std::function<void(const std::string&)> listener_ GUARDED_BY(mu_);
  int next_pid_ GUARDED_BY(mu_) = 1000;
  Duration last_grace_ GUARDED_BY(mu_){};
  bool down_ GUARDED_BY(mu_) = false;
};

// How a call goes wrong. "Before": the engine did nothing. "After": it did everything, and the answer was lost.
enum class FakeFault { kNone, kFailBefore, kFailAfter, kCrashBefore, kCrashAfter };
// The agent dies here: thrown through the controller to the simulation, which throws the agent away.
struct FakeCrash {
  std::string verb, id;
};
// `verb`: "Check" "List" "Look" "Pull" "Create" "Start" "Stop" "Remove" "Usage" "CollectArtifacts"; `id` may be empty.
using FakeFaultHook = std::function<FakeFault(std::string_view verb, const std::string& id)>;

struct FakeRuntimeOptions {
  std::string node = "node";
  RuntimeKind kind = RuntimeKind::kDocker;
  // List and Look answer with the world as it was this many changes ago (at most 16): a look that raced with changes.
  int stale_changes = 0;
};

class FakeRuntime final : public ContainerRuntime {
 public:
  FakeRuntime(FakeEngine& engine, FakeRuntimeOptions options) : engine_(engine), options_(std::move(options)) {}
  void SetFaultHook(FakeFaultHook hook) LOCKS_EXCLUDED(mu_);
  void SetStaleChanges(int changes) LOCKS_EXCLUDED(mu_);
  // What WhyNoSecrets says.
  void SetWhyNoSecrets(std::string why) LOCKS_EXCLUDED(mu_);
  // Of every image, from now on.
  void RequirePassword(std::string password) LOCKS_EXCLUDED(mu_);

  RuntimeKind kind() const override { return options_.kind; }
  RuntimeCheck Check(Deadline deadline) override;
  bool Supports(const ServerSpec& spec) const override;
  StatusOr<std::vector<InstanceReport>> List(Deadline deadline) override;
  StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) override;
  StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                          Deadline deadline) override;
  std::string WhyNoSecrets(const ServerSpec& spec) const override LOCKS_EXCLUDED(mu_);
  StatusOr<Artifact> PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                            std::function<void(const PullProgress&)> progress, Deadline deadline) override;
  Status Create(const InstanceSpec& spec, Deadline deadline) override;
  Status Start(const std::string& id, Deadline deadline) override;
  Status Stop(const std::string& id, Duration grace, Deadline deadline) override;
  Status Remove(const std::string& id, Deadline deadline) override;
  Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                     Deadline deadline) override;
  StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) override;
  Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override;
  StatusOr<int64_t> ArtifactBytes(Deadline deadline) override;
  Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) override;

 private:
  // Runs `effect` (which takes the engine's lock) with the fault that the hook chose around it.
  Status Verb(std::string_view verb, const std::string& id, Deadline deadline, const std::function<Status()>& effect);
  StatusOr<Artifact> PullIt(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                            Deadline deadline);
  // Calls `see` with the world that a look shows, under the engine's lock.
  template <typename See>
  Status Seen(std::string_view verb, const std::string& id, Deadline deadline, See see);
  FakeContainer* FindOurs(const std::string& id) EXCLUSIVE_LOCKS_REQUIRED(engine_.mu_);

  FakeEngine& engine_;
  mutable Mutex mu_;
  std::string why_no_secrets_ GUARDED_BY(mu_), password_ GUARDED_BY(mu_);
  FakeRuntimeOptions options_;  // stale_changes guarded by mu_, the rest constant
  FakeFaultHook hook_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
