// The controller of a node: keeps every server that is placed here as its spec says.
//
//   Controller controller(deps, {});
//   controller.Start(4);            // lists the runtimes, adopts what runs, converges
//   controller.NotifyDesiredChanged();
//   controller.Stop();              // servers go on running
//
// Level-triggered: triggers carry only keys, and every look starts from what the runtimes say. Triggers: new desired
// state, runtime events, the session host, probe and pull results, timers, and a relist every 30 s. One worker at a
// time per server; pulls and probes, which may take long, have threads of their own. An idle server costs its probes.
//
// All methods are thread-safe. The simulator doesn't Start: it calls RunOne on one thread, where pulls and probes run
// inline, with a clock that it moves itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/desired_state.h"
#include "controller/ports/exposure.h"
#include "controller/ports/gateway_servers.h"
#include "controller/ports/notebook.h"
#include "controller/ports/prober.h"
#include "controller/ports/recorder.h"
#include "controller/ports/session_host.h"
#include "controller/ports/traffic.h"

namespace mcpfleet {

// All must outlive the controller. The controller sets the session host's listener.
struct ControllerDeps {
  std::map<RuntimeKind, ContainerRuntime*> runtimes;
  SessionHost& sessions;
  Prober& prober;
  DesiredState& desired;
  StatusSink& status;
  EventRecorder& events;
  ControllerMetrics& metrics;
  const Clock& clock;
  uint64_t seed = 0;  // of back-off jitter and instance ids: random in a program, fixed in a test
  std::string node;
  Notebook* notebook = nullptr;    // restarts and back-off over a restart of mcplet; null: they begin at zero
  Notebook* artifacts = nullptr;   // what the previous revisions ran from; null: known of this process's time only
  Traffic* traffic = nullptr;      // what clients do; null: nothing is known of them, so nothing sleeps
  GatewayNews* gateway = nullptr;  // who wants to know when ClientTargetOf changes; may be null
  // Where clients reach a server through the gateway, "" for nowhere. Null: this node has no gateway. Thread-safe.
  std::function<std::string(const ServerKey&)> endpoint_of = nullptr;
  // What the tunnel has of a server that asks for a hostname; nullopt for any other. Null: none does. Thread-safe;
  // Trigger must follow a change.
  std::function<std::optional<Exposure>(const ServerKey&)> exposure_of = nullptr;
};

struct ControllerOptions {
  Duration relist_period = std::chrono::seconds(30);
  Duration event_debounce = std::chrono::milliseconds(20);
  int probe_threads = 8;
  int pull_threads = 3;
  Duration pull_timeout = std::chrono::minutes(15);
  int64_t artifact_quota_bytes = int64_t{10} << 30;
  Duration collect_period = std::chrono::minutes(10);
};

class Controller final : public GatewayServers {
 public:
  Controller(const ControllerDeps& deps, const ControllerOptions& options);
  ~Controller() override;
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // `draining`: only for a Drain that follows, nothing is started in between.
  void Start(int workers = 4, bool draining = false);
  // Ends the threads (waits for calls under way) and leaves the servers running. Idempotent.
  void Stop();
  // Stops and removes every instance of this node, for `mcplet --drain`; nothing starts afterwards. DeadlineExceeded
  // names what is left. Call Stop after it.
  Status Drain(Deadline deadline);

  // One step of the simulator: housekeeping when due, else one server. False when nothing is due at the clock's now.
  bool RunOne();
  // When RunOne has something to do next; MonoTime::max() for never.
  MonoTime NextDue() const;

  void Trigger(const ServerKey& key);
  void NotifyRuntimeEvent(RuntimeKind runtime, const std::string& instance);
  void NotifyDesiredChanged();

  std::optional<ServerStatus> StatusOf(const ServerKey& key) const;
  std::vector<ServerStatus> Statuses() const;
  // Where to send a request for a person. NotFound: no such server here; Unavailable: it does not run now.
  StatusOr<ProbeTarget> TargetOf(const ServerKey& key) const;
  // The instance that serves, for logs. NotFound as above.
  StatusOr<InstanceReport> InstanceOf(const ServerKey& key) const;
  StatusOr<ClientTarget> ClientTargetOf(const ServerKey& key) const override;
  // Whether every runtime was listed and every desired server looked at once: what /readyz asks.
  bool Synced() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mcpfleet
