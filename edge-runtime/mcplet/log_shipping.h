// Log shipping as this node is configured: the shipper, the Worker that it uploads to, and the runtimes whose logs it
// reads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/logship/chunk_store.h"
#include "edge-runtime/logship/log_shipper.h"
#include "edge-runtime/logship/shipped_runtime.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/node_conditions.h"
#include "edge-runtime/mcplet/runtimes.h"
#include "edge-runtime/telemetry/event_log.h"
#include "edge-runtime/telemetry/prometheus_metrics.h"
#include "store/worker_api.h"

namespace mcpfleet {

// Chunks to the Worker. A token that is refused is read again: it may have been replaced.
class WorkerChunkStore final : public logship::ChunkStore {
 public:
  using Connect = std::function<StatusOr<std::unique_ptr<WorkerApi>>()>;
  WorkerChunkStore(std::string node, Connect connect) : node_(std::move(node)), connect_(std::move(connect)) {}
  StatusOr<bool> Takes(Deadline deadline) override;
  logship::PutAnswer Put(const std::string& name, std::string bytes, WallTime first, WallTime last,
                         Deadline deadline) override;

 private:
  StatusOr<WorkerAnswer> Send(const std::string& name, std::string bytes,
                              std::vector<std::pair<std::string, std::string>> headers, Deadline deadline);
  const std::string node_;
  const Connect connect_;
  std::unique_ptr<WorkerApi> api_;  // of the calling thread; null: to be made
};

struct LogShippingDeps {
  Runtimes& runtimes;
  PrometheusMetrics& metrics;
  EventLog& events;
  const Clock& clock;
  std::string boot_id;  // of this process
  uint64_t seed = 0;
  WorkerChunkStore::Connect connect;
  logship::LiveSink live;  // may be null: nobody can follow
};

class LogShipping {
 public:
  // Null when this node ships no logs: it is told not to, or its store can't take any.
  static StatusOr<std::unique_ptr<LogShipping>> Open(const Config& config, LogShippingDeps deps);
  explicit LogShipping(EventLog& events) : events_(events) {}
  ~LogShipping();
  void Start() { shipper_->Start(); }
  void Stop() { shipper_->Stop(); }
  // The runtimes for the controller: what it lists and removes is seen here.
  std::map<RuntimeKind, ContainerRuntime*> Runtimes() const;
  // To be told who is followed.
  logship::LogFollowing& following() { return *shipper_; }
  void Describe(NodeFacts* facts) const;

 private:
  EventLog& events_;
  int64_t listener_ = 0;  // of the events; 0: none
  std::unique_ptr<WorkerChunkStore> store_;
  std::unique_ptr<logship::LogShipper> shipper_;
  std::map<RuntimeKind, std::unique_ptr<logship::ShippedRuntime>> shipped_;
};

}  // namespace mcpfleet
