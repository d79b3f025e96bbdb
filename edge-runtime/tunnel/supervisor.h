// Keeps a node's tunnel: writes the ingress for what is exposed, sees to it that a cloudflared runs with it (mode
// Managed), and tells what of it is connected.
//
//   Supervisor supervisor(options, deps);
//   supervisor.SetHostnames({"fs.example.com"});   // whenever it changes
//   supervisor.Start();
//   … supervisor.state() …
//   supervisor.Stop();     // cloudflared goes on; the next mcplet finds it
//
// One thread looks every few seconds, at once when something was set. Methods are thread-safe; `changed` is called from
// that thread without a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "edge-runtime/tunnel/connector.h"
#include "edge-runtime/tunnel/exposure.h"
#include "edge-runtime/tunnel/health.h"
#include "edge-runtime/tunnel/ingress.h"
#include "edge-runtime/tunnel/plan.h"

namespace mcpfleet::tunnel {

struct SupervisorOptions {
  Mode mode = Mode::kOff;
  std::string credentials_file;  // Managed
  // External: where the ingress is written, and the loopback address of the other cloudflared's metrics server, "" for
  // none: then nobody knows whether it runs.
  std::string ingress_file;
  std::string metrics_host;
  uint16_t metrics_port = 0;
  Duration look = std::chrono::seconds(10);      // when all is well
  Duration next_look = std::chrono::seconds(1);  // when something is under way
  Duration ask = std::chrono::seconds(2);        // how long a connector may take to say how it is
};

// All outlive the supervisor.
struct SupervisorDeps {
  ConnectorHost* host = nullptr;  // null: nothing can be run, and nothing was (mode External without root)
  const Clock& clock;
  // Where the gateway is for a cloudflared outside; an origin without port while it is not open. Mode External.
  std::function<GatewayOrigin()> gateway;
  std::function<void()> changed;  // state() says something else
};

class Supervisor {
 public:
  Supervisor(SupervisorOptions options, const SupervisorDeps& deps);
  ~Supervisor() { Stop(); }

  void SetHostnames(std::vector<std::string> hostnames) LOCKS_EXCLUDED(mu_);
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  // After Stop, or instead of Start: ends every connector. Not OK: what is left.
  Status EndAll(Deadline deadline);

  TunnelState state() const LOCKS_EXCLUDED(mu_);
  // How often a cloudflared ended that nobody had asked to.
  int64_t restarts() const LOCKS_EXCLUDED(mu_);

  // One look, for tests, which don't Start: true when the next one is due soon.
  bool Look();

 private:
  void Run();
  void Publish(TunnelState state) LOCKS_EXCLUDED(mu_);
  std::vector<std::string> hostnames() const LOCKS_EXCLUDED(mu_);
  TunnelState LookExternal(const std::vector<std::string>& hostnames);
  TunnelState LookManaged(const std::vector<std::string>& hostnames, bool* busy);
  // The connector for these; FailedPrecondition and InvalidArgument say why there is none.
  StatusOr<ConnectorSpec> Wanted(const std::vector<std::string>& hostnames);
  Status CarryOut(const Action& action, const ConnectorSpec& wanted);
  Health HealthOf(const std::string& id);

  // What is known of a connector beside the report.
  struct Memory {
    bool ran = false;  // when last looked
    std::optional<MonoTime> asked_to_end;
    std::unique_ptr<http::Client> metrics;
  };

  const SupervisorOptions options_;
  const SupervisorDeps deps_;

  // Of the thread that looks.
  std::map<std::string, Memory> memory_;
  Restarts restarts_;
  std::string last_wanted_, last_words_, written_;
  std::unique_ptr<http::Client> external_;

  mutable Mutex mu_;
  CondVar wake_;
  std::vector<std::string> hostnames_ GUARDED_BY(mu_);
  TunnelState state_ GUARDED_BY(mu_);
  int64_t restart_count_ GUARDED_BY(mu_) = 0;
  bool news_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// What cloudflared is started with. Pure.
std::vector<std::string> ConnectorArguments(const std::string& tunnel_id);
std::vector<std::string> ConnectorEnvironment(bool isolated);

}  // namespace mcpfleet::tunnel
