// Custom resources as the API server has them, in our own terms. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"
#include "controller/placement/place.h"
#include "crd/object.h"
#include "store/kubernetes/reflector.h"

namespace mcpfleet::kube {

inline constexpr char kServersPath[] = "/apis/mcpfleet.dev/v1alpha1/mcpservers";
inline constexpr char kSecretsPath[] = "/apis/mcpfleet.dev/v1alpha1/mcpsecrets";
inline constexpr char kNodesPath[] = "/apis/mcpfleet.dev/v1alpha1/mcpnodes";
inline constexpr char kCoreNodesPath[] = "/api/v1/nodes";
// Keeps a deleted MCPServer until every node has stopped and removed what it ran for it.
inline constexpr char kFinalizer[] = "mcpfleet.dev/instances";

// What is kept of an MCPServer or MCPSecret.
struct Resource {
  // The same pointer as long as nothing but status, finalizers and version changed: what reads it need not look again.
  std::shared_ptr<const Object> object;
  std::string version;  // resourceVersion
  std::vector<std::string> finalizers;
  bool deleting = false;  // deletionTimestamp is set
  Json status;            // of an MCPServer; null for none
};

// InvalidArgument for what has no name or uid. `before` (may be null): what was known of it.
StatusOr<Resource> ResourceOf(const Json& json, const Resource* before);

std::string ServerPath(const ServerKey& key);  // "/apis/…/namespaces/<namespace>/mcpservers/<name>"
// The entry of a node in status.nodes[]; null when there is none.
const Json& EntryOf(const Json& status, std::string_view node);
bool HasFinalizer(const Resource& resource);

// What placement looks at: the core Node of this name as kubectl labels and cordons it, and over it the MCPNode with
// mcplet's name, whose labels win. Either may be null.
PlacementNode PlacementOf(const std::string& name, const Json& core_node, const Json& mcp_node);

}  // namespace mcpfleet::kube
