#include "store/kubernetes/registry.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace mcpfleet::kube {
namespace {

// Of a node only what placement looks at: its images and status are large.
Json Trimmed(const Json& node) {
  if (node.is_null()) return nullptr;
  const Json& metadata = GetMember(node, "metadata");
  return {{"metadata", {{"labels", GetMember(metadata, "labels")}, {"uid", GetString(metadata, "uid")}}},
          {"spec",
           {{"unschedulable", GetBool(GetMember(node, "spec"), "unschedulable")},
            {"drain", GetBool(GetMember(node, "spec"), "drain")}}}};
}

}  // namespace

void Registry::Take(const std::vector<Change>& changes, Resources* into) {
  for (const Change& change : changes) {
    const ServerKey key{change.name.first, change.name.second};
    if (change.object.is_null()) {
      into->erase(key);
      continue;
    }
    const auto before = into->find(key);
    StatusOr<Resource> resource = ResourceOf(change.object, before == into->end() ? nullptr : before->second.get());
    if (resource.ok()) {
      (*into)[key] = std::make_shared<const Resource>(*std::move(resource));
    } else {
      LOG_WARNING("an object that can't be read is ignored", {{"object", ToString(key)}, {"error", resource.status()}});
    }
  }
}

void Registry::Take(const std::vector<Change>& changes, HeardNode* into) {
  if (!into->heard) *into = {.object = nullptr, .heard = true};
  for (const Change& change : changes) into->object = Trimmed(change.object);
}

void Registry::Remember(Json core_node, Json mcp_node) {
  MutexLock lock(&mu_);
  if (!core_node_.heard) core_node_.object = std::move(core_node);
  if (!mcp_node_.heard) mcp_node_.object = std::move(mcp_node);
}

void Registry::TakeServers(const std::vector<Change>& changes) {
  {
    MutexLock lock(&mu_);
    Take(changes, &servers_);
  }
  on_change_();
}

void Registry::TakeSecrets(const std::vector<Change>& changes) {
  {
    MutexLock lock(&mu_);
    Take(changes, &secrets_);
  }
  on_change_();
}

void Registry::TakeCoreNode(const std::vector<Change>& changes) {
  {
    MutexLock lock(&mu_);
    Take(changes, &core_node_);
  }
  on_change_();
}

void Registry::TakeMcpNode(const std::vector<Change>& changes) {
  {
    MutexLock lock(&mu_);
    Take(changes, &mcp_node_);
  }
  on_change_();
}

Resources Registry::Servers() const {
  MutexLock lock(&mu_);
  return servers_;
}

Resources Registry::Secrets() const {
  MutexLock lock(&mu_);
  return secrets_;
}

std::shared_ptr<const Resource> Registry::Server(const ServerKey& key) const {
  MutexLock lock(&mu_);
  const auto it = servers_.find(key);
  return it == servers_.end() ? nullptr : it->second;
}

PlacementNode Registry::Node(const std::string& name) const {
  MutexLock lock(&mu_);
  return PlacementOf(name, core_node_.object, mcp_node_.object);
}

Registry::NodeObjects Registry::Nodes() const {
  MutexLock lock(&mu_);
  return {core_node_.object, mcp_node_.object};
}

bool Registry::SawCoreNode() const {
  MutexLock lock(&mu_);
  return core_node_.heard && !core_node_.object.is_null();
}

}  // namespace mcpfleet::kube
