// What the API server's objects are as far as this node has heard: filled by the informers, read by whoever decides and
// whoever writes. Thread-safe; values are immutable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "crd/object.h"
#include "store/kubernetes/resource.h"

namespace mcpfleet::kube {

using Resources = std::map<ServerKey, std::shared_ptr<const Resource>>;

class Registry {
 public:
  // `on_change` runs after each change, on the changing thread.
  explicit Registry(std::function<void()> on_change) : on_change_(std::move(on_change)) {}

  void TakeServers(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeSecrets(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeCoreNode(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeMcpNode(const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);

  Resources Servers() const LOCKS_EXCLUDED(mu_);
  Resources Secrets() const LOCKS_EXCLUDED(mu_);
  std::shared_ptr<const Resource> Server(const ServerKey& key) const LOCKS_EXCLUDED(mu_);  // null: there is none
  PlacementNode Node(const std::string& name) const LOCKS_EXCLUDED(mu_);

 private:
  static void Take(const std::vector<Change>& changes, Resources* into);
  const std::function<void()> on_change_;
  mutable Mutex mu_;
  Resources servers_ GUARDED_BY(mu_), secrets_ GUARDED_BY(mu_);
  Json core_node_ GUARDED_BY(mu_), mcp_node_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::kube
