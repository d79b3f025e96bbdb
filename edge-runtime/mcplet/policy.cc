#include "edge-runtime/mcplet/policy.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet {
namespace {

bool IsBelow(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
  if (!path.starts_with(root)) return false;
  return root == "/" || path.size() == root.size() || path[root.size()] == '/';
}

std::string AllowedText(const std::vector<std::string>& allowed) {
  return allowed.empty() ? "none" : Join(allowed, ", ");
}

RuntimeChoice RuntimeOf(const NodePolicy& policy, const ServerSpec& spec) {
  if (spec.runtime != RuntimeChoice::kAuto) return spec.runtime;
  return std::holds_alternative<ImageSource>(spec.source) ? policy.image_runtime : RuntimeChoice::kProcess;
}

}  // namespace

std::string Forbidden(const NodePolicy& policy, const ServerSpec& spec) {
  for (const Volume& volume : spec.volumes) {
    if (volume.host_path.empty()) continue;
    bool allowed = std::any_of(policy.allowed_host_paths.begin(), policy.allowed_host_paths.end(),
                               [&](const std::string& root) { return IsBelow(volume.host_path, root); });
    if (!allowed) {
      return "spec.volumes: hostPath " + volume.host_path +
             " is not allowed on this node; allowed: " + AllowedText(policy.allowed_host_paths) +
             " (policy.allowedHostPaths in mcplet.yaml)";
    }
  }
  for (const std::string& capability : spec.security.add_capabilities) {
    const auto& allowed = policy.allowed_capabilities;
    if (std::find(allowed.begin(), allowed.end(), capability) == allowed.end()) {
      return "spec.securityContext.capabilities.add: " + capability +
             " is not allowed on this node; allowed: " + AllowedText(allowed) +
             " (policy.allowedCapabilities in mcplet.yaml)";
    }
  }
  if (spec.security.network == NetworkMode::kHost && !policy.allow_host_network) {
    return "spec.securityContext.network: Host is not allowed on this node; allowed: None, Outbound "
           "(policy.allowHostNetwork in mcplet.yaml)";
  }
  if (const auto* image = std::get_if<ImageSource>(&spec.source); image != nullptr && !policy.image_prefixes.empty()) {
    bool allowed = std::any_of(policy.image_prefixes.begin(), policy.image_prefixes.end(),
                               [&](const std::string& prefix) { return image->ref.starts_with(prefix); });
    if (!allowed) {
      return "spec.source.image.ref: " + image->ref +
             " is not allowed on this node; allowed prefixes: " + Join(policy.image_prefixes, ", ") +
             " (policy.imagePrefixes in mcplet.yaml)";
    }
  }
  if (std::holds_alternative<RemoteSource>(spec.source)) {
    return policy.allow_remote ? ""
                               : "spec.source.remote: not allowed on this node (policy.allowRemote in mcplet.yaml)";
  }
  if (!policy.runtimes.empty() &&
      std::find(policy.runtimes.begin(), policy.runtimes.end(), RuntimeOf(policy, spec)) == policy.runtimes.end()) {
    return "spec.runtime: this node does not run it (policy.runtimes in mcplet.yaml)";
  }
  return "";
}

}  // namespace mcpfleet
