// The way out of servers with network Outbound: a bridge of this node's own, made by the standard CNI plugins.
//
// A network namespace comes with the container's first process, which waits while Connect puts an interface into it.
// Beside that, what a connection leaves on the host (an address lease, firewall rules) is written down in the
// instance's directory and taken back by Disconnect, also after a crash.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::containerd {

struct NetworkOptions {
  std::vector<std::string> plugin_directories = {"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"};
  // A CNI configuration list (.conflist) to use instead of our own bridge; "": ours.
  std::string configuration_file;
  std::string bridge = "mcpfleet0";
  std::string subnet = "10.87.0.0/16";
  std::string state_directory;  // address leases are kept here
};

class Network {
 public:
  explicit Network(NetworkOptions options) : options_(std::move(options)) {}

  // Why no server can have network Outbound, and what to do; "" when it can.
  std::string WhyNot() const;
  // Puts eth0 into the network namespace of `pid`. `directory` is the instance's.
  Status Connect(const std::string& instance, int pid, const std::string& directory, Deadline deadline) const;
  // OK when it was not connected.
  Status Disconnect(const std::string& instance, const std::string& directory, Deadline deadline) const;
  // Instances that hold an address, those of crashes too.
  std::vector<std::string> Holders() const;

 private:
  StatusOr<Json> Configuration() const;
  Status Call(const std::string& command, const std::string& instance, const std::string& network_namespace,
              const Json& list, Json* result, Deadline deadline) const;

  const NetworkOptions options_;
};

// Our own configuration list. Pure.
Json BridgeConfiguration(const NetworkOptions& options, bool firewall);

}  // namespace mcpfleet::containerd
