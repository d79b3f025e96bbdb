// The node agent put together: the only place that knows the concrete runtimes, prober, store and servers.
//
//   ASSIGN_OR_RETURN(auto agent, Agent::Create(config, clock));
//   agent->Start();          // adopts what runs, converges
//   …until SIGTERM…
//   agent->Stop();           // servers go on running
//
// Create opens files and ports and lists what can be used here; a runtime or store that is away is no error, it is a
// condition. One agent per state directory (lock).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"

namespace mcpfleet {

class Agent {
 public:
  static StatusOr<std::unique_ptr<Agent>> Create(const Config& config, const Clock& clock);
  virtual ~Agent() = default;
  virtual Status Start() = 0;
  // Ends threads and connections; leaves every server running. Idempotent.
  virtual void Stop() = 0;
  // Instead of Start: stops and removes every instance of this node.
  virtual Status Drain(Deadline deadline) = 0;
  // "127.0.0.1:8701"; "" before Start.
  virtual std::string admin_address() const = 0;
  virtual bool Ready() const = 0;
};

}  // namespace mcpfleet
