// What the admin API tells of this node: the AdminBackend over the agent's parts.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/core/controller.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/prober.h"
#include "edge-runtime/mcplet/admin.h"
#include "edge-runtime/mcplet/status_publisher.h"
#include "edge-runtime/telemetry/event_log.h"
#include "edge-runtime/telemetry/prometheus_metrics.h"

namespace mcpfleet {

// All must outlive the backend.
struct NodeAdminDeps {
  Controller& controller;
  Prober& prober;
  std::map<RuntimeKind, ContainerRuntime*> runtimes;
  StatusPublisher& publisher;
  EventLog& events;
  PrometheusMetrics& metrics;
  const Clock& clock;
  NodePublicKeys keys;
};

class NodeAdmin final : public AdminBackend {
 public:
  explicit NodeAdmin(const NodeAdminDeps& deps) : deps_(deps) {}
  std::vector<ReadyCheck> Ready() override;
  NodeStatus GetStatus() override;
  NodePublicKeys Keys() override { return deps_.keys; }
  // CPU and memory are measured here, when somebody asks, not while nobody does.
  std::string Metrics() override LOCKS_EXCLUDED(mu_);
  std::vector<Event> Events(const std::optional<ServerKey>& server) override;
  std::function<void()> WatchEvents(std::function<void(const Event&)> listener) override;
  Status Logs(const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override;
  StatusOr<nlohmann::json> Call(const ServerKey& server, const std::string& method, const nlohmann::json& params,
                                Deadline deadline) override;

 private:
  void Measure();

  const NodeAdminDeps deps_;
  Mutex mu_;
  MonoTime measured_at_ GUARDED_BY(mu_){};
};

}  // namespace mcpfleet
