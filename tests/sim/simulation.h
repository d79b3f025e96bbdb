// A node in memory whose mcplet dies at any step, whose engines fail before or after their effect, whose servers crash,
// whose operator changes his mind; everything drawn from one seed. The planner, the queue and the reconciler are the
// real ones. Invariants are checked at every call to a runtime or a shim and after every step:
//
//   - never two running instances of one server with different revisions, unless its updates roll; never three;
//   - never a stop of what nobody deleted, changed or suspended, except restarts by policy, duplicates, roll-outs that
//     failed, and servers on demand that nobody uses;
//   - of a server whose updates roll, never a stop of the last instance that answers, nor of one with conversations
//     before its drainTimeout;
//   - never an instance that was not wanted when it was created;
//   - the controller comes to rest at every instant, and converges once the faults stop.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controller/core/controller.h"
#include "tests/fakes/controller_fakes.h"
#include "tests/fakes/fake_runtime.h"
#include "tests/fakes/session_host.h"

namespace mcpfleet {

class Simulation;

// Those that the environment asks for: MCPFLEET_SEED alone, or MCPFLEET_SEEDS of them from MCPFLEET_FIRST_SEED on.
std::vector<uint64_t> Seeds();

// The session host with faults around its verbs.
class FaultySessionHost final : public SessionHost {
 public:
  FaultySessionHost(FakeSessionHost& inner, Simulation& simulation) : inner_(inner), simulation_(simulation) {}
  StatusOr<std::string> Prepare(const std::string& instance) override;
  void Expect(const std::string& instance, int pid) override;
  bool Connected(const std::string& instance) const override { return inner_.Connected(instance); }
  Status StartMain(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   Transport transport, Deadline deadline) override;
  Status StopMain(const std::string& instance, Duration grace, Deadline deadline) override;
  MainState Main(const std::string& instance) const override { return inner_.Main(instance); }
  std::shared_ptr<StdioChannel> MainChannel(const std::string& instance) override {
    return inner_.MainChannel(instance);
  }
  std::optional<bool> SeparatesClients(const std::string& instance) const override {
    return inner_.SeparatesClients(instance);
  }
  void Forget(const std::string& instance) override;
  void SetListener(std::function<void(const std::string&)> changed) override { inner_.SetListener(std::move(changed)); }

 private:
  FakeSessionHost& inner_;
  Simulation& simulation_;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed);
  virtual ~Simulation();

  // The whole story; "" when all invariants held, else what was broken and the last steps.
  std::string Run(int rounds = 60);
  // Of everything that happened: the same for the same seed.
  uint64_t fingerprint() const { return fingerprint_; }

  // For the session host.
  void ChildEnded(const std::string& instance) { verified_.erase(instance); }
  FakeFault Fault(std::string_view verb, const std::string& id);

 protected:
  // The desired state that the operator means, as edits of the snapshot that the node sees. A subclass may put a
  // store between.
  virtual void Publish() {
    view_.Edit([this](DesiredSnapshot* s) { *s = meant_; });
  }
  // Called once a round, and until it returns true when the faults have stopped.
  virtual bool StoreStep(bool /*stormy*/) { return true; }
  // A crash of mcplet also takes what the store's reader had in memory, a loss of power what was not flushed.
  virtual void StoreReboot(bool /*power_lost*/) {}
  // mcplet dies and comes back.
  void Crash();

  double Chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  void Trace(std::string line);
  void Break(const std::string& what);

  FakeClock clock_;
  std::mt19937_64 random_;
  FakeDesiredState view_;  // what the node sees
  DesiredSnapshot meant_;  // what the operator wants
  std::unique_ptr<Controller> controller_;
  std::string broken_;  // "": nothing so far

 private:
  void Boot(bool power_lost = false);
  void Step();
  void RunDue();
  void World();
  void EditDesired();
  DesiredServer Draw(const ServerKey& key);
  void SyncSessions();
  void CheckWorld();
  void CheckStop(const std::string& verb, const std::string& id);
  void CheckStopOfOld(const std::string& verb, const InstanceReport& report, const DesiredServer& wanted);
  // A client asks for a server, or ends a conversation.
  void ClientActs();
  void NoteVerified(const ServerKey& key, const std::string& instance);
  // What the controller says: "Ready", "Progressing" … of a server, as reason.
  std::string ReasonOf(const ServerKey& key, const char* condition) const;
  void CheckCreate(const std::string& id);
  void Calm();
  std::string Converged();
  std::vector<FakeContainer> Containers() const;
  FakeFault RuntimeFault(RuntimeKind kind, FakeEngine& engine, std::string_view verb, const std::string& id);
  const DesiredServer* Wanted(const ServerKey& key) const;

  const uint64_t seed_;
  FakeEngine docker_{clock_}, process_{clock_};
  FakeSessionHost inner_sessions_{clock_};
  FaultySessionHost sessions_{inner_sessions_, *this};
  FakeProber prober_;
  FakeStatusSink status_;
  FakeEventRecorder events_;
  FakeControllerMetrics metrics_;
  FakeNotebook notebook_;  // outlives mcplet
  FakeTraffic traffic_{clock_};
  std::unique_ptr<FakeRuntime> docker_runtime_, process_runtime_;

  double fault_rate_ = 0;
  std::set<const FakeEngine*> down_;
  MonoTime booted_{};
  std::set<RuntimeKind> answered_;              // runtimes that this mcplet has listed
  std::set<ServerKey> excused_;                 // an engine that never answered ran another revision
  std::map<ServerKey, MonoTime> broken_until_;  // the prober fails for these; restarts by policy are then no breach
  std::map<ServerKey, std::set<std::string>> ever_;  // revisions that were ever wanted
  std::set<std::string> live_;                       // instances that ran at the last look
  std::set<ServerKey> beside_;                       // two revisions may run
  std::set<std::string> verified_;                   // instances whose child has answered
  std::set<std::string> known_;                      // those that have answered this mcplet
  std::map<std::string, MonoTime> superseded_;       // instances next to which the wanted revision has answered
  std::map<ServerKey, MonoTime> used_;               // by a client
  int64_t generation_ = 0;
  std::deque<std::string> trace_;
  uint64_t fingerprint_ = 14695981039346656037u;
};

}  // namespace mcpfleet
