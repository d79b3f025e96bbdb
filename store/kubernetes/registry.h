// What the API server's objects are as far as this node has heard: filled by the informers, read by whoever decides and
// whoever writes. Thread-safe; values are immutable.
//
// Of this machine's two node objects it can hold what an earlier mcplet had heard: that stands until the API server has
// said what there is, because without its labels and its drain a node would run other servers than it should.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mutex.h"
#include "crd/object.h"
#include "store/kubernetes/resource.h"

namespace mcpfleet::kube {

using Resources = std::map<ServerKey, std::shared_ptr<const Resource>>;

class Registry {
 public:
  // `on_change` runs after each change, on the changing thread.
  explicit Registry(std::function<void()> on_change) : on_change_(std::move(on_change)) {}

  // What an earlier mcplet had heard of the core Node and the MCPNode; null: that there was none.
  void Remember(Json core_node, Json mcp_node) LOCKS_EXCLUDED(mu_);
  void TakeServers(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeSecrets(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  // Of a complete list or an event: with the first of them, what was remembered is over.
  void TakeCoreNode(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeMcpNode(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);

  Resources Servers() const LOCKS_EXCLUDED(mu_);
  Resources Secrets() const LOCKS_EXCLUDED(mu_);
  std::shared_ptr<const Resource> Server(const ServerKey& key) const LOCKS_EXCLUDED(mu_);  // null: there is none
  PlacementNode Node(const std::string& name) const LOCKS_EXCLUDED(mu_);
  struct NodeObjects {
    Json core_node, mcp_node;  // trimmed to what placement looks at; null: there is none
    bool operator==(const NodeObjects&) const = default;
  };
  NodeObjects Nodes() const LOCKS_EXCLUDED(mu_);
  // The API server has shown the core Node of this machine.
  bool SawCoreNode() const LOCKS_EXCLUDED(mu_);

 private:
  struct HeardNode {
    Json object;
    bool heard = false;  // false: remembered
  };
  static void Take(const std::vector<Change>& changes, Resources* into);
  static void Take(const std::vector<Change>& changes, HeardNode* into);
  const std::function<void()> on_change_;
  mutable Mutex mu_;
  Resources servers_ GUARDED_BY(mu_), secrets_ GUARDED_BY(mu_);
  HeardNode core_node_ GUARDED_BY(mu_), mcp_node_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::kube
