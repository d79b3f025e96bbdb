#include "store/kubernetes/registry.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace mcpfleet::kube {
namespace {

// Of a node only what placement looks at: its images and status are large.
Json Trimmed(const Json& node) {
  if (node.is_null()) return nullptr;
  return {{"metadata", {{"labels", GetMember(GetMember(node, "metadata"), "labels")}}},
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
    for (const Change& change : changes) core_node_ = Trimmed(change.object);
  }
  on_change_();
}

void Registry::TakeMcpNode(const std::vector<Change>& changes) {
  {
    MutexLock lock(&mu_);
    for (const Change& change : changes) mcp_node_ = Trimmed(change.object);
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
  return PlacementOf(name, core_node_, mcp_node_);
}

}  // namespace mcpfleet::kube
