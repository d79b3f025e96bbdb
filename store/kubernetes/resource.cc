#include "store/kubernetes/resource.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::kube {
namespace {

// kubectl's copy of the manifest: as large as the spec, and of no use to a node.
constexpr char kLastApplied[] = "kubectl.kubernetes.io/last-applied-configuration";

Labels TextsOf(const Json& map) {
  Labels out;
  if (!map.is_object()) return out;
  for (auto it = map.begin(); it != map.end(); ++it) {
    if (it->is_string() && it.key() != kLastApplied) out[it.key()] = it->get<std::string>();
  }
  return out;
}

bool Same(const Object& a, const Object& b) {
  const ObjectMeta &m = a.metadata, &n = b.metadata;
  return a.kind == b.kind && m.name == n.name && m.namespace_ == n.namespace_ && m.uid == n.uid &&
         m.generation == n.generation && m.labels == n.labels && m.annotations == n.annotations && a.spec == b.spec;
}

}  // namespace

StatusOr<Resource> ResourceOf(const Json& json, const Resource* before) {
  const Json& metadata = GetMember(json, "metadata");
  auto object = std::make_shared<Object>();
  object->api_version = GetString(json, "apiVersion", kApiVersion);
  object->kind = GetString(json, "kind");
  object->metadata = {.name = GetString(metadata, "name"),
                      .namespace_ = GetString(metadata, "namespace"),
                      .uid = GetString(metadata, "uid"),
                      .generation = GetInt(metadata, "generation"),
                      .labels = TextsOf(GetMember(metadata, "labels")),
                      .annotations = TextsOf(GetMember(metadata, "annotations")),
                      .creation_timestamp = GetString(metadata, "creationTimestamp")};
  if (object->metadata.name.empty() || object->metadata.uid.empty())
    return InvalidArgument("an object of the API server has no name or no uid");
  const Json& spec = GetMember(json, "spec");
  object->spec = spec.is_object() ? spec : Json::object();
  Resource resource{.object = nullptr,
                    .version = GetString(metadata, "resourceVersion"),
                    .finalizers = StringsOf(GetMember(metadata, "finalizers")),
                    .deleting = !GetString(metadata, "deletionTimestamp").empty(),
                    .status = GetMember(json, "status")};
  resource.object = before != nullptr && Same(*before->object, *object) ? before->object : std::move(object);
  return resource;
}

std::string ServerPath(const ServerKey& key) {
  return "/apis/mcpfleet.dev/v1alpha1/namespaces/" + PercentEncode(key.namespace_) + "/mcpservers/" +
         PercentEncode(key.name);
}

const Json& EntryOf(const Json& status, std::string_view node) {
  static const Json none;
  for (const Json& entry : GetMember(status, "nodes")) {
    if (GetString(entry, "node") == node) return entry;
  }
  return none;
}

bool HasFinalizer(const Resource& resource) {
  return std::find(resource.finalizers.begin(), resource.finalizers.end(), kFinalizer) != resource.finalizers.end();
}

PlacementNode PlacementOf(const std::string& name, const Json& core_node, const Json& mcp_node) {
  PlacementNode node{.name = name, .labels = TextsOf(GetMember(GetMember(core_node, "metadata"), "labels"))};
  for (const auto& [key, value] : TextsOf(GetMember(GetMember(mcp_node, "metadata"), "labels")))
    node.labels[key] = value;
  const Json& spec = GetMember(mcp_node, "spec");
  node.drained = GetBool(spec, "drain");
  node.unschedulable =
      node.drained || GetBool(spec, "unschedulable") || GetBool(GetMember(core_node, "spec"), "unschedulable");
  return node;
}

}  // namespace mcpfleet::kube
