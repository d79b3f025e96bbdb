// A connector is one run of cloudflared with one configuration. What a supervisor needs to keep them: made by whoever
// can make a place for them from which nothing of this machine is reached but the gateway.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/status.h"

namespace mcpfleet::tunnel {

// Paths and the port as a connector sees them.
inline constexpr char kConfigPath[] = "/files/config.yml";
inline constexpr char kCredentialsPath[] = "/files/credentials.json";
inline constexpr char kGatewaySocket[] = "/gateway/gateway.sock";
inline constexpr int kMetricsPort = 20241;

// What a new connector gets from its place.
struct ConnectorPlace {
  std::string fingerprint;  // what of this place makes two connectors different: its program, what it is kept from
  // Why it is not kept from all that it should be, where that is allowed; "": it is.
  std::string unenforced;
};

struct ConnectorSpec {
  std::string id;
  ConnectorPlace place;
  std::vector<std::string> arguments, environment;
  std::string config, credentials;  // contents of the two files
};

struct ConnectorReport {
  std::string id;
  bool running = false;
  std::string ended;  // how, with its last words; "" while it runs and when it never did
};

// One thread. Connectors outlive this object and mcplet: List finds them again.
class ConnectorHost {
 public:
  virtual ~ConnectorHost() = default;
  // FailedPrecondition: none may be started here, and what to do.
  virtual StatusOr<ConnectorPlace> Place() = 0;
  virtual StatusOr<std::vector<ConnectorReport>> List() = 0;
  // Also again, once it has ended. OK when it runs already.
  virtual Status Start(const ConnectorSpec& spec, Deadline deadline) = 0;
  // SIGTERM: it takes no more requests and ends once those under way are done. Does not wait.
  virtual void Terminate(const std::string& id) = 0;
  // Killed and forgotten. Absent is OK.
  virtual Status Remove(const std::string& id, Deadline deadline) = 0;
  // To its kMetricsPort.
  virtual StatusOr<UniqueFd> ConnectToMetrics(const std::string& id, Deadline deadline) = 0;
};

}  // namespace mcpfleet::tunnel
