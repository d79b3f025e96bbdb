// mcplet's metrics in Prometheus' text format, for GET /metrics on the admin server.
//
//   PrometheusMetrics metrics({.version = "0.1.0"});
//   metrics.SetServer(status);
//   response.body = metrics.Serialize();
//
// Names that controller-runtime and client-go have are theirs, so that ready-made dashboards work. What can be counted
// and has not happened yet is 0, not absent. A server's series go with RemoveServer. Labels are bounded: namespace and
// server of what runs here, and words of ours. Thread-safe; nothing here blocks or throws.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "controller/ports/recorder.h"
#include "edge-runtime/telemetry/gateway_series.h"
#include "edge-runtime/telemetry/log_series.h"

namespace mcpfleet {

class PrometheusMetrics final : public ControllerMetrics {
 public:
  struct Build {
    std::string version;
    std::string commit;                         // "" when it is not known
    std::vector<std::string> store_operations;  // that StoreRequest will be called with
  };
  explicit PrometheusMetrics(const Build& build);
  ~PrometheusMetrics() override;

  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
  std::string Serialize() const;

  // ControllerMetrics.
  void ReconcileDone(const ServerKey& server, bool ok, Duration took) override;
  void QueueDepth(size_t depth) override;
  void QueueAdded() override;
  void QueueRetried() override;
  void QueueLatency(Duration waited) override;
  void RuntimeOperation(std::string_view operation, bool ok, Duration took) override;
  void Probe(std::string_view probe, bool ok, Duration took) override;
  void Restarted(const ServerKey& server, std::string_view reason) override;
  void Converged(const ServerKey& server, Duration since_head) override;
  void DriftCorrected() override;
  void OrphanReaped() override;

  // What the gateway counts.
  GatewaySeries& gateway() { return gateway_; }
  // What log shipping counts.
  LogSeries& logs() { return logs_; }

  // A server's conditions and what it says it is; on each change of its status.
  void SetServer(const ServerStatus& status);
  // Memory now, and CPU time of its present instance since that started.
  void SetServerUsage(const ServerKey& server, int64_t memory_bytes, double cpu_seconds);
  // After this, Restarted and SetServerUsage of the same server do nothing until SetServer.
  void RemoveServer(const ServerKey& server);

  // `op` one of Build::store_operations; `code` an HTTP status, or "error" when there was no answer.
  void StoreRequest(std::string_view op, std::string_view code);
  void StoreSucceeded(WallTime at);
  // The tunnel: whether it is connected, how many hostnames it is to serve, and how often its cloudflared ended by
  // itself since mcplet started. From one thread.
  void SetTunnel(bool up, size_t hostnames, int64_t restarts);
  // A head that was older than the accepted one, refused.
  void StaleHead();
  // Two heads of one order: an alarm, two writers did not see each other.
  void ConflictingHead();
  void ForeignHead();
  void UntrustedHead();
  void BadAnswer();

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
  GatewaySeries gateway_;
  LogSeries logs_;
};

}  // namespace mcpfleet
