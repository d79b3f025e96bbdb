// Where the controller reports to: events for people, status for the store, metrics for Prometheus. None of them
// blocks.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "crd/server_status.h"

namespace mcpfleet {

// The words that metrics have as labels. What reports them and what makes their series, at zero from the start, both
// hold to these; the controller's tests fail at any other word.
inline constexpr std::string_view kRuntimeOperations[] = {
    "List", "Look", "Pull", "Create", "Start", "StartMain", "Stop", "StopMain", "Remove", "CollectArtifacts"};
inline constexpr std::string_view kProbeNames[] = {"startup", "liveness", "readiness"};
inline constexpr std::string_view kRestartReasons[] = {"Error",      "OOMKilled",      "Signalled",      "Completed",
                                                       "StartError", "StartupTimeout", "LivenessFailed", "ShimLost",
                                                       "AttachLost", "Removed",        "Stopped"};

class EventRecorder {
 public:
  virtual ~EventRecorder() = default;
  // `type` "Normal" or "Warning"; equal consecutive events are counted, not repeated.
  virtual void Record(const ServerKey& server, std::string_view type, std::string_view reason,
                      std::string_view message) = 0;
};

class StatusSink {
 public:
  virtual ~StatusSink() = default;
  virtual void Set(const ServerStatus& status) = 0;
  virtual void Remove(const ServerKey& server) = 0;
};

class ControllerMetrics {
 public:
  virtual ~ControllerMetrics() = default;
  virtual void ReconcileDone(const ServerKey& server, bool ok, Duration took) = 0;
  virtual void QueueDepth(size_t depth) = 0;
  virtual void QueueAdded() = 0;
  virtual void QueueRetried() = 0;
  virtual void QueueLatency(Duration waited) = 0;
  // One of kRuntimeOperations.
  virtual void RuntimeOperation(std::string_view operation, bool ok, Duration took) = 0;
  virtual void Probe(std::string_view probe, bool ok, Duration took) = 0;  // one of kProbeNames
  // One of kRestartReasons.
  virtual void Restarted(const ServerKey& server, std::string_view reason) = 0;
  virtual void Converged(const ServerKey& server, Duration since_head) = 0;
  virtual void DriftCorrected() = 0;
  virtual void OrphanReaped() = 0;
};

}  // namespace mcpfleet
