// What of the default sandbox this node can enforce.
#pragma once

#include <string>
#include <vector>

#include "crd/server_spec.h"
#include "edge-runtime/process/cgroups.h"

namespace mcpfleet {

struct KernelFeatures {
  bool root = false;
  bool namespaces = false;     // mount, pid, net, ipc, uts, cgroup
  bool mount_setattr = false;  // Linux 5.12
  bool seccomp = false;
  int landlock_abi = 0;  // 0: none
  std::string no_relay;  // why network Outbound can't be given a namespace of its own, and what to do; "" when it can
};

KernelFeatures DetectKernel();
// Of `relay_binary`, the path of slirp4netns or "": what becomes KernelFeatures::no_relay.
std::string NoRelay(const std::string& relay_binary);
// Why no sandbox can be made at all, and what to do; "" when it can.
std::string Unavailable(const KernelFeatures& kernel);
// One text per thing that holds for every server on this node.
std::vector<std::string> NodeUnenforced(const KernelFeatures& kernel,
                                        const std::vector<std::string>& missing_controllers);
// The same and what this server asks for beyond it.
std::vector<std::string> Unenforced(const KernelFeatures& kernel, const std::vector<std::string>& missing_controllers,
                                    const ServerSpec& spec);

}  // namespace mcpfleet
