// containerd's Transfer service (1.7 and later): containerd pulls an image for us, with what its registry asks for and
// through the mirrors that the node's administrator has set up.
#pragma once

#include <functional>
#include <string>

#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/engine/registry_auth.h"

namespace mcpfleet::containerd {

struct TransferPull {
  std::string name;                      // whole: "docker.io/library/busybox:latest"
  std::string source;                    // the reference that it is asked for by; "": its name
  const RegistryLogin* login = nullptr;  // null: asked with nothing
  std::string hosts_directory;           // registry configuration (certs.d); "": containerd's own default
  std::string architecture;
};

// Fetches the content and gives it its name; it does not unpack. NotFound when the registry has no such image or does
// not show it to us. `progress` is called from another thread.
Status PullByTransfer(const Connection& connection, const TransferPull& pull,
                      const std::function<void(const PullProgress&)>& progress, const std::string& lease,
                      Deadline deadline);

}  // namespace mcpfleet::containerd
