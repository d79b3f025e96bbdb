// What one node does for all: the merged conditions of every MCPServer, and its finalizer. Only while it holds the
// lease; level-triggered over what the registry has.
//
// The finalizer is added to every MCPServer that is not being deleted, and removed from one that is as soon as no node
// has an entry in its status any more. Nodes that are silent are not waited for: their entries are given up in their
// stead, and whatever still runs there ends when they hear that the object is gone.
//
// A node that is gone for good (node_life.h) has its entries given up everywhere, so that the merged view is of nodes
// that there are; after the last one its Lease is removed. If it comes back after all it writes both anew.
//
// One thread of its own, which also keeps the lease.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/kubernetes/elector.h"
#include "store/kubernetes/registry.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

inline constexpr char kMergeManager[] = "mcpfleet-merge";

class Merger {
 public:
  // `complete`: whether the registry has every MCPServer that there is. Called from the merger's thread.
  Merger(RestClient& rest, const Registry& registry, const Clock& clock, uint64_t seed, ElectorOptions options,
         std::function<bool()> complete);
  ~Merger();
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  void Wake() LOCKS_EXCLUDED(mu_);

 private:
  struct Done {
    std::string version;  // of the object that was looked at: the same one is not written to twice
    MonoTime retry_at{};
  };
  void Run();
  void Merge() LOCKS_EXCLUDED(mu_);
  Status Tend(const ServerKey& key, const Resource& resource);
  Status ForgetNodes(const Resources& servers);
  Status Send(const Call& call);
  std::set<std::string> SilentNodesOf(const Resource& resource) const;
  RestClient& rest_;
  const Registry& registry_;
  const Clock& clock_;
  const Duration timeout_;
  const std::function<bool()> complete_;
  Elector elector_;                 // of the thread
  std::map<ServerKey, Done> done_;  // of the thread
  std::string problem_;             // of the thread
  Mutex mu_;
  CondVar wake_;
  bool woken_ GUARDED_BY(mu_) = false, stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet::kube
