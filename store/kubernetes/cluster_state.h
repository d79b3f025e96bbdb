// What this node is to run as Kubernetes says it. Immutable once published; the sibling of store/head_sync's
// AcceptedState.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "crd/object.h"
#include "store/kubernetes/plain_secret.h"
#include "store/kubernetes/registry.h"

namespace mcpfleet::kube {

using SecretName = std::pair<std::string, std::string>;  // namespace, name

// A core Secret that a server names: not `read` before it was looked at, null when there is none that can be used.
struct CoreSecret {
  std::shared_ptr<const PlainSecret> secret;
  std::string problem;     // why it can't be used though it is there
  bool read = false;       // the API server has been asked
  bool forbidden = false;  // and has refused to tell
  bool operator==(const CoreSecret&) const = default;
};
using CoreSecrets = std::map<SecretName, CoreSecret>;
using Objects = std::map<ObjectKey, std::shared_ptr<const Object>>;

struct ClusterState {
  // False until the API server or the cache has said what there is: only then is what is absent to be removed.
  bool known = false;
  MonoTime changed_at{};
  // MCPServers placed on this node, and the MCPSecrets that they name.
  Objects objects;
  CoreSecrets core_secrets;  // those that they name and no MCPSecret is
  bool SameAs(const ClusterState& other) const {
    return known == other.known && objects == other.objects && core_secrets == other.core_secrets;
  }
};

// Which MCPServers are for `node`, with the MCPSecrets that they name. A cordoned node keeps what `previous` has, a
// drained one nothing; what is being deleted is nowhere. `secrets` null: they could not be read, and those of
// `previous` stay. Pure.
Objects PlaceObjects(const Resources& servers, const Resources* secrets, const PlacementNode& node,
                     const ClusterState& previous);
// The Secrets of core/v1 that those name. Pure.
std::set<SecretName> CoreSecretsOf(const Objects& objects);

// What is kept on disk for a boot without the API server: the objects, and what placement looked at. Of Secrets
// nothing.
struct CachedCluster {
  Objects objects;
  Registry::NodeObjects nodes;
};
// `path`: a file, written atomically.
Status SaveCluster(const std::string& path, const CachedCluster& cluster);
// NotFound when there is no such file; InvalidArgument when it is damaged.
StatusOr<CachedCluster> LoadCluster(const std::string& path);

}  // namespace mcpfleet::kube
