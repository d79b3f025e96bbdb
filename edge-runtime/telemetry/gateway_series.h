// The gateway's metrics. A server's series go when it leaves the node. Thread-safe; nothing here blocks or throws.
#pragma once

#include <memory>
#include <vector>

#include "controller/ports/gateway_metrics.h"
#include "edge-runtime/telemetry/usage.h"

namespace prometheus {
struct MetricFamily;
}

namespace mcpfleet {

class GatewaySeries final : public GatewayMetrics {
 public:
  GatewaySeries();
  ~GatewaySeries() override;

  void GatewayRequest(const ServerKey& server, std::string_view method, int code, Duration took) override;
  void GatewayToolFailed(const ServerKey& server) override;
  void GatewayRejected(std::string_view reason) override;
  void GatewaySessions(const ServerKey& server, int open) override;
  void GatewaySessionEnded(const ServerKey& server, Duration lived) override;
  void GatewayCertificate(const StatusOr<WallTime>& expires) override;
  void GatewayForget(const ServerKey& server) override;

  // All zero for a server that no client has come to.
  ServerTraffic TrafficOf(const ServerKey& server) const;

  // Appends what there is now.
  void Collect(std::vector<prometheus::MetricFamily>* out) const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace mcpfleet
