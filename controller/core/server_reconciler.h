// One look at one server: take in what happened, observe, plan, carry out, say how it is, say when to look again.
// The thin part around Plan; decides nothing that Plan, RecordExit, NextProbe or BuildStatus could decide.
//
// In three files: the look and the plan (server_reconciler.cc), what ended (server_exits.cc), what is done
// (server_actions.cc).
//
// Thread-safe for different servers; one server (its record) belongs to one thread at a time, by the work queue.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "controller/core/controller.h"
#include "controller/core/executor.h"
#include "controller/core/instance_cache.h"
#include "controller/core/server_record.h"
#include "controller/core/task_pool.h"

namespace mcpfleet {

// Chance for several threads.
class Chance {
 public:
  explicit Chance(uint64_t seed) : random_(seed) {}
  double Next();                  // [0, 1)
  std::string Letters(size_t n);  // [a-z0-9]

 private:
  Mutex mu_;
  std::mt19937_64 random_ GUARDED_BY(mu_);
};

// "<name, at most 20>-<8 hex of the revision>-<5 random>"
std::string NewInstanceId(const ServerKey& key, const std::string& revision, Chance& chance);
// Auto: an image runs in Docker, or in containerd on a node that has that and no Docker; everything else as a process.
RuntimeKind ChooseRuntime(const ServerSpec& spec, const std::map<RuntimeKind, ContainerRuntime*>& runtimes);

// What failed is pulled again this late at the latest.
inline constexpr Duration kPullRetryLast = std::chrono::minutes(5);

struct ReconcileResult {
  Status status = OkStatus();       // not OK: look again after a back-off
  MonoTime wake = MonoTime::max();  // look again then, whatever the back-off
  bool gone = false;                // nothing wanted, nothing there: the record can go
  bool wrote_status = false;
};

class ServerReconciler {
 public:
  struct Wiring {
    const ControllerDeps& deps;
    const ControllerOptions& options;
    InstanceCache& cache;
    TaskPool& pulls;
    TaskPool& probes;
    MonoTime started;  // when this mcplet began to look
    // Puts an outcome in the server's inbox and triggers it.
    std::function<void(const ServerKey&, Outcome)> post;
    // What others see from now on; nullptr: nothing.
    std::function<void(const ServerKey&, const ServerView*)> publish;
    // An artifact that a server uses.
    std::function<void(const ServerKey&, const std::string& digest)> uses;
    // Whether everything is to be stopped (Drain).
    std::function<bool()> draining;
  };
  ServerReconciler(Wiring wiring, uint64_t seed) : w_(std::move(wiring)), executor_(w_.deps, w_.cache), chance_(seed) {}

  ReconcileResult Reconcile(const ServerKey& key, ServerRecord* record, const std::vector<Outcome>& inbox);

 private:
  struct Look {
    std::shared_ptr<const DesiredSnapshot> snapshot;
    std::shared_ptr<const DesiredServer> newest;   // null: not desired
    std::shared_ptr<const DesiredServer> desired;  // newest, or what its roll-out was taken back to
    MonoTime now{};
    Observed observed;
    std::vector<Action> actions;
  };
  void TakeIn(ServerRecord* record, const Outcome& outcome);
  Status Refresh(const ServerKey& key, ServerRecord* record);
  void Observe(const ServerKey& key, ServerRecord* record, Look* look);
  void ObserveRuntime(const DesiredServer& desired, Observed* observed);
  void Recall(const ServerKey& key, ServerRecord* record, const DesiredServer& desired);
  void NoteSpec(ServerRecord* record, const Look& look);
  std::shared_ptr<const DesiredServer> InForce(ServerRecord* record,
                                               const std::shared_ptr<const DesiredServer>& newest) const;
  // `newest`, or what says that its secrets can't be delivered here.
  std::shared_ptr<const DesiredServer> Deliverable(ServerRecord* record,
                                                   const std::shared_ptr<const DesiredServer>& newest) const;
  void ForgetRevisions(ServerRecord* record, const Look& look);
  void ObserveUse(const ServerKey& key, Look* look) const;
  void NoteProgress(ServerRecord* record, const Look& look) const;
  void ObserveInstances(const ServerKey& key, ServerRecord* record, Look* look);
  void NoteVanished(const ServerKey& key, ServerRecord* record, const Look& look);
  void NoteExits(const ServerKey& key, ServerRecord* record, const Look& look);
  void NoteExitOf(const ServerKey& key, ServerRecord* record, const Look& look, const InstanceView& view);
  void NoteExit(const ServerKey& key, ServerRecord* record, const Look& look, const InstanceView& view,
                ExitCause cause);
  void NoteIncarnations(ServerRecord* record, const Look& look);
  bool OutOfMemory(ServerRecord* record, const InstanceReport& report);
  std::string StderrTail(const InstanceReport& report);

  Status Run(const ServerKey& key, ServerRecord* record, const Look& look, const Action& action);
  // True when the action was one that only changes the record.
  bool Remember(const ServerKey& key, ServerRecord* record, const Look& look, const Action& action);
  void BeginPull(const ServerKey& key, ServerRecord* record, const Look& look, bool previous);
  void BeginProbe(const ServerKey& key, ServerRecord* record, const Look& look, ProbeKind kind,
                  const std::string& instance);
  // Of one instance, null for a remote server.
  std::optional<ProbeTarget> Target(const ServerKey& key, const ServerRecord& record, const Look& look,
                                    const InstanceView* instance) const;
  void Note(const ServerKey& key, ServerRecord* record, bool gone);
  void WriteStatus(const ServerKey& key, ServerRecord* record, const Look& look, bool* wrote);

  Wiring w_;
  Executor executor_;
  Chance chance_;
};

}  // namespace mcpfleet
