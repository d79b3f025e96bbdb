#include "edge-runtime/process/enforcement.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace mcpfleet {

KernelFeatures DetectKernel() {
  KernelFeatures kernel;
  kernel.root = geteuid() == 0;
  kernel.namespaces = true;
  for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    kernel.namespaces = kernel.namespaces && access((std::string("/proc/self/ns/") + name).c_str(), F_OK) == 0;
  }
  kernel.mount_setattr = syscall(442 /* mount_setattr */, -1, "", 0, nullptr, 0) != 0 && errno != ENOSYS;
  // EFAULT for the missing program, not EINVAL: the mode is known.
  kernel.seccomp = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr, 0, 0) != 0 && errno == EFAULT;
  const long abi = syscall(444 /* landlock_create_ruleset */, nullptr, 0, 1);
  kernel.landlock_abi = abi > 0 ? static_cast<int>(abi) : 0;
  return kernel;
}

std::string NoRelay(const std::string& relay_binary) {
  if (relay_binary.empty()) return "slirp4netns is not in PATH; apt-get install slirp4netns";
  if (access("/dev/net/tun", F_OK) != 0) return "there is no /dev/net/tun; modprobe tun";
  return "";
}

std::string Unavailable(const KernelFeatures& kernel) {
  if (!kernel.root) return "the process runtime needs root: run mcplet as root, or use runtime Docker";
  if (!kernel.namespaces) return "the kernel lacks namespaces (mnt, pid, net, ipc, uts, cgroup): use runtime Docker";
  if (!kernel.mount_setattr) return "the kernel is older than 5.12: upgrade it, or use runtime Docker";
  if (!kernel.seccomp) return "the kernel lacks seccomp filters: upgrade it, or use runtime Docker";
  return "";
}

std::vector<std::string> NodeUnenforced(const KernelFeatures&, const std::vector<std::string>& missing_controllers) {
  std::vector<std::string> out;
  out.reserve(missing_controllers.size());
  for (const std::string& controller : missing_controllers) {
    out.push_back("resources.limits." + controller + ": no cgroup controller " + controller + " on this node");
  }
  return out;
}

std::vector<std::string> Unenforced(const KernelFeatures& kernel, const std::vector<std::string>& missing_controllers,
                                    const ServerSpec& spec) {
  std::vector<std::string> out = NodeUnenforced(kernel, missing_controllers);
  if (spec.security.network != NetworkMode::kOutbound) return out;
  if (kernel.no_relay.empty()) {
    // slirp4netns takes any packet for what its header says; only the kernel's own socket calls keep 127.0.0.1 inside.
    for (std::string_view name : spec.security.add_capabilities) {
      if (name.starts_with("CAP_")) name.remove_prefix(4);
      if (name == "NET_RAW" || name == "NET_ADMIN") {
        out.push_back("network Outbound: with capability " + std::string(name) +
                      " a server can address packets to services on the host's loopback");
      }
    }
    return out;
  }
  out.push_back("network Outbound: the server shares the host's network and reaches services on its loopback: " +
                kernel.no_relay);
  if (kernel.landlock_abi < 4)
    out.emplace_back("network Outbound: ports can be bound (landlock ABI 4, Linux 6.7, is missing)");
  if (kernel.landlock_abi < 6) {
    out.emplace_back(
        "network Outbound: abstract unix sockets of the host can be reached (landlock ABI 6, Linux 6.12, is "
        "missing)");
  }
  return out;
}

}  // namespace mcpfleet
