// Node policy: what this node lets any object ask for, whoever signed it. Set in mcplet.yaml; a refused server is
// Accepted=False, ForbiddenByNode, and all others converge.
#pragma once

#include <string>
#include <vector>

#include "crd/server_spec.h"

namespace mcpfleet {

struct NodePolicy {
  std::vector<std::string>
      allowed_host_paths;  // a volume's hostPath must be one of these or below it; none: no host paths
  std::vector<std::string> allowed_capabilities;  // what capabilities.add may ask for; none: no capability
  bool allow_host_network = false;
  std::vector<std::string> image_prefixes;  // none: every image
  std::vector<RuntimeChoice> runtimes;      // none: every runtime
  bool allow_remote = true;
  RuntimeChoice image_runtime = RuntimeChoice::kDocker;  // what Auto is for an image on this node
};

// "" when allowed, else what is refused and what is allowed, for the condition's message. Pure.
std::string Forbidden(const NodePolicy& policy, const ServerSpec& spec);

}  // namespace mcpfleet
