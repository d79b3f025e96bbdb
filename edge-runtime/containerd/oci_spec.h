// The OCI runtime specification of an instance: where a server's limits and sandbox become runc's. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/image_format.h"

namespace mcpfleet::containerd {

// What this node is.
struct SpecContext {
  std::string shim_binary;  // on the host; "" runs argv itself
  std::string cgroup_path;  // "/mcpfleet-containerd/<id>"
  bool cgroup_v2 = false;
  bool swap_limit = true;       // cgroup v1: the kernel accounts for swap
  std::string files_directory;  // of the instance, on the host: hosts, resolv.conf
};

// InvalidArgument when there is nothing to run. Variables of secrets are never in it (the shim gets them): `ctr
// container info` shows it.
StatusOr<Json> OciSpec(const InstanceSpec& spec, const ImageConfig& image, const SpecContext& context);
// Why variables and files of secrets can't be given to a container that is made so; "" when they can.
std::string WhyNoSecrets(const std::string& shim_binary);

// The system calls of the default sandbox, and of the added capabilities.
Json SeccompProfile(const std::vector<std::string>& capabilities);

// /etc/hosts and /etc/resolv.conf inside. A name server on the host's loopback is not there in a network namespace of
// its own: `upstream` (systemd-resolved's list) stands in, else public ones as Docker's.
std::string EtcHosts(const std::string& hostname);
std::string ResolvConf(const std::string& host, const std::string& upstream, NetworkMode network);

}  // namespace mcpfleet::containerd
