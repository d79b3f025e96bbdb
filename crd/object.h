// A Kubernetes-style object as it travels: manifest -> store -> node. The spec stays JSON here; crd/server_spec.h has
// the typed form that the node works with.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"

namespace mcpfleet {

inline constexpr char kApiVersion[] = "mcpfleet.dev/v1alpha1";
inline constexpr char kKindServer[] = "MCPServer";
inline constexpr char kKindNode[] = "MCPNode";
inline constexpr char kKindSecret[] = "MCPSecret";
inline constexpr char kDefaultNamespace[] = "default";
// Asks for new instances without a change of the spec: `mcpctl rollout restart` sets it, a node's revision contains it.
inline constexpr char kRestartedAtAnnotation[] = "mcpfleet.dev/restartedAt";

// Names the apply set that an object belongs to: what `--prune --applyset` and `mcplet sync` may delete.
inline constexpr char kApplySetLabel[] = "mcpfleet.dev/applyset";

using Labels = std::map<std::string, std::string>;

struct ObjectMeta {
  std::string name;
  std::string namespace_ = kDefaultNamespace;  // "" for cluster-scoped kinds (MCPNode)
  std::string uid;                             // assigned at the first apply
  int64_t generation = 0;                      // rises when the spec changes or a restart is asked for
  Labels labels;
  Labels annotations;
  std::string creation_timestamp;  // RFC 3339; assigned at the first apply
};

struct Object {
  std::string api_version = kApiVersion;
  std::string kind;
  ObjectMeta metadata;
  Json spec = Json::object();
};

struct ObjectKey {
  std::string kind, namespace_, name;
  auto operator<=>(const ObjectKey&) const = default;
};
// What mcpctl itself noted on a stored object and a manifest does not speak of stays when the manifest is applied: a
// restart that was asked for is not asked for again by the next apply, and a node's keys, which nobody writes by hand,
// are not lost because its labels changed.
inline void KeepOwnNotes(const Object& stored, Object* manifest) {
  auto restarted = stored.metadata.annotations.find(kRestartedAtAnnotation);
  // Does nothing where the manifest says it.
  if (restarted != stored.metadata.annotations.end()) manifest->metadata.annotations.insert(*restarted);
  // Whoever applies one file of a set does not take it out of the set.
  auto set = stored.metadata.labels.find(kApplySetLabel);
  if (set != stored.metadata.labels.end()) manifest->metadata.labels.insert(*set);
  if (stored.kind == kKindNode && stored.spec.contains("keys") && !manifest->spec.contains("keys"))
    manifest->spec["keys"] = stored.spec["keys"];
}
inline ObjectKey KeyOf(const Object& object) { return {object.kind, object.metadata.namespace_, object.metadata.name}; }

// A server on a node: what the work queue is keyed by.
struct ServerKey {
  std::string namespace_, name;
  auto operator<=>(const ServerKey&) const = default;
};
inline std::string ToString(const ServerKey& key) { return key.namespace_ + "/" + key.name; }

}  // namespace mcpfleet
