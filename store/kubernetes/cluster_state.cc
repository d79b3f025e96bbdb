#include "store/kubernetes/cluster_state.h"

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "crd/codec.h"
#include "crd/secret_spec.h"

namespace mcpfleet::kube {
namespace {
constexpr size_t kCacheBytes = size_t{256} << 20;
}  // namespace

Objects PlaceObjects(const Resources& servers, const Resources* secrets, const PlacementNode& node,
                     const ClusterState& previous) {
  Objects out;
  if (node.drained) return out;
  for (const auto& [key, resource] : servers) {
    const ObjectKey object{kKindServer, key.namespace_, key.name};
    if (resource->deleting) continue;
    if (!Place(GetMember(resource->object->spec, "placement"), node.name, node.labels, false)) continue;
    if (node.unschedulable && !previous.objects.contains(object)) continue;
    out[object] = resource->object;
    for (const std::string& name : SecretNamesOf(resource->object->spec)) {
      const ObjectKey sealed{kKindSecret, key.namespace_, name};
      if (secrets == nullptr) {
        if (const auto before = previous.objects.find(sealed); before != previous.objects.end())
          out[sealed] = before->second;
        continue;
      }
      const auto secret = secrets->find({key.namespace_, name});
      if (secret != secrets->end() && !secret->second->deleting) out[sealed] = secret->second->object;
    }
  }
  return out;
}

std::set<SecretName> CoreSecretsOf(const Objects& objects) {
  std::set<SecretName> out;
  for (const auto& [key, object] : objects) {
    if (key.kind != kKindServer) continue;
    for (const std::string& name : SecretNamesOf(object->spec)) {
      if (!objects.contains({kKindSecret, key.namespace_, name})) out.insert({key.namespace_, name});
    }
  }
  return out;
}

Status SaveCluster(const std::string& path, const CachedCluster& cluster) {
  Json list = Json::array();
  for (const auto& [key, object] : cluster.objects) list.push_back(ObjectToJson(*object));
  return WriteFileAtomically(path, DumpJson({{"objects", std::move(list)},
                                             {"coreNode", cluster.nodes.core_node},
                                             {"mcpNode", cluster.nodes.mcp_node}}));
}

StatusOr<CachedCluster> LoadCluster(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kCacheBytes));
  StatusOr<Json> json = ParseJson(text, {.bytes = kCacheBytes});
  if (!json.ok() || !GetMember(*json, "objects").is_array()) return InvalidArgument(path + ": is damaged");
  CachedCluster cluster{.objects = {},
                        .nodes = {.core_node = GetMember(*json, "coreNode"), .mcp_node = GetMember(*json, "mcpNode")}};
  for (const Json& item : (*json)["objects"]) {
    StatusOr<Object> object = ObjectFromJson(item);
    if (!object.ok()) return Annotate(object.status(), path);
    auto held = std::make_shared<const Object>(*std::move(object));
    cluster.objects[KeyOf(*held)] = std::move(held);
  }
  return cluster;
}

}  // namespace mcpfleet::kube
