// What following the store found out, for people: counters of what was refused, and a Warning event where two heads
// of one order were seen. That is no transient trouble: two writers did not see each other, or somebody forges.
// Not thread-safe: of the sync thread.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/telemetry/event_log.h"
#include "edge-runtime/telemetry/prometheus_metrics.h"
#include "store/head_sync.h"

namespace mcpfleet {

class SyncTelemetry {
 public:
  SyncTelemetry(PrometheusMetrics& metrics, EventLog& events, const Clock& clock, std::string node)
      : metrics_(metrics), events_(events), clock_(clock), node_(std::move(node)) {}
  void OnStep(const Status& step, const SyncStats& stats);
  void OnCount(const SyncStats& stats);

 private:
  PrometheusMetrics& metrics_;
  EventLog& events_;
  const Clock& clock_;
  const std::string node_;
  SyncStats told_;
};

}  // namespace mcpfleet
