// Log shipping: what this node's servers write goes to the store, so that it can be read when the node is away.
//
//   instances' logs ─► LogCollector ─► Spool (sealed chunks, on disk) ─► LogUploader ─► ChunkStore
//                          └─► LiveLines, while somebody follows
//
// Reading only: a server never waits for any of this. Two threads: one reads and seals, one uploads. All methods may be
// called from any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_metrics.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/logship/chunk_store.h"
#include "edge-runtime/logship/log_collector.h"
#include "edge-runtime/logship/log_uploader.h"

namespace mcpfleet::logship {

struct ShipperOptions {
  std::string directory;  // <state>/logship
  std::string boot_id;    // [A-Za-z0-9], another one in each process
  int64_t spool_quota = int64_t{64} << 20;
  Duration interval = std::chrono::minutes(10);
  uint64_t seed = 0;  // of the jitter
};

struct ShipperDeps {
  std::map<RuntimeKind, LogTails*> tails;
  ChunkStore& store;
  LogMetrics& metrics;
  const Clock& clock;
  NodeEvent event;
  LiveSink live;  // may be null
};

// For the node's condition.
struct ShipperState {
  enum class Phase { kUnknown, kOff, kOn };
  Phase phase = Phase::kUnknown;  // kUnknown: the store has not told yet whether it takes logs
  std::string failure;            // why chunks wait; "": they don't, or not for long
  std::string loss;               // what was lost in the last hour; ""
};

class LogShipper final : public LogFollowing {
 public:
  // Opens the spool. Everything in `deps` outlives it.
  static StatusOr<std::unique_ptr<LogShipper>> Open(ShipperOptions options, ShipperDeps deps);
  ~LogShipper() override;
  void Start();
  // Seals what was read, and gives the store some seconds for it.
  void Stop() LOCKS_EXCLUDED(mu_);

  // All instances of a runtime, as it listed them.
  void SetInstances(RuntimeKind runtime, std::vector<InstanceReport> instances) LOCKS_EXCLUDED(mu_);
  // One of them, as it is now; nullopt when there is none (any more).
  void SetInstance(RuntimeKind runtime, const std::string& id, std::optional<InstanceReport> instance)
      LOCKS_EXCLUDED(mu_);
  // The instance's log is about to go: returns when it was read and sealed, or at the deadline.
  void Finish(const std::string& instance, Deadline deadline) LOCKS_EXCLUDED(mu_);
  // A server has ended, or something is wrong with it: its lines go out within seconds. Never blocks.
  void Hurry() LOCKS_EXCLUDED(mu_);
  void SetFollowed(std::vector<ServerKey> servers) override LOCKS_EXCLUDED(mu_);
  ShipperState state() const LOCKS_EXCLUDED(mu_);

 private:
  struct Finishing {
    std::string instance;
    Deadline deadline = Deadline::Never();
    uint64_t ticket = 0;
  };
  // Of a runtime, since the thread last asked: a list, and what was seen of single instances after it.
  struct News {
    std::optional<std::vector<InstanceReport>> all;
    std::map<std::string, std::optional<InstanceReport>> single;
  };
  LogShipper(ShipperOptions options, ShipperDeps deps);
  void Run();
  // Until it is known whether the store takes logs. False: stopping.
  bool AwaitStore() LOCKS_EXCLUDED(mu_);
  void TakeRequests(std::vector<Finishing>* finishing, bool* stopping) LOCKS_EXCLUDED(mu_);
  void Report(bool sealed);

  const ShipperOptions options_;
  const ShipperDeps deps_;
  LossReport loss_;
  LiveLines live_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<LogCollector> collector_;  // of the reading thread, once it runs
  std::unique_ptr<LogUploader> uploader_;
  bool had_cursor_ = false;
  mutable Mutex mu_;
  CondVar wake_, finished_;
  bool stopping_ GUARDED_BY(mu_) = false;
  bool woken_ GUARDED_BY(mu_) = false;
  bool hurry_ GUARDED_BY(mu_) = false;
  bool started_ GUARDED_BY(mu_) = false;
  ShipperState::Phase phase_ GUARDED_BY(mu_) = ShipperState::Phase::kUnknown;
  std::map<RuntimeKind, News> news_ GUARDED_BY(mu_);
  std::vector<Finishing> finishing_ GUARDED_BY(mu_);
  uint64_t tickets_ GUARDED_BY(mu_) = 0, done_ GUARDED_BY(mu_) = 0;
  std::thread thread_;
};

}  // namespace mcpfleet::logship
