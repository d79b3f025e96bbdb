// Kubernetes as a source of desired state: what of the cluster's MCPServers is for this node, and what goes back
// (statuses, events, the merged view). Owns the threads of all of it.
//
//   ASSIGN_OR_RETURN(auto source, Source::Open(cluster, options, clock, [&](const ClusterState& state) { … }));
//   source->Start();
//
// The state is published from the thread of the source whenever it changed. While the API server is away the last one
// stands; it is kept on disk, so that a node boots without it (values of Secrets are not: a server that names one goes
// on if it runs, and is started anew once its Secret could be read).
//
// A role may forbid the nodes and the MCPSecrets: mcplet does without. But that something is refused is no answer about
// what there is: what was known of it stands, and only a node that has never known any goes on as if there were none,
// after a few refusals.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "store/kubernetes/cluster.h"
#include "store/kubernetes/cluster_state.h"
#include "store/kubernetes/event_writer.h"
#include "store/kubernetes/informer.h"
#include "store/kubernetes/merger.h"
#include "store/kubernetes/node_writer.h"
#include "store/kubernetes/registry.h"
#include "store/kubernetes/rest.h"
#include "store/kubernetes/secret_watches.h"
#include "store/kubernetes/status_writer.h"

namespace mcpfleet::kube {

struct SourceOptions {
  std::string node;       // as placement and status name it
  std::string core_node;  // the name of this machine's core/v1 Node
  std::string directory;  // where the cached objects are; made when it is not there
  std::string user_agent;
  uint64_t seed = 0;
  std::function<bool()> looked;  // see StatusWriterOptions
  ElectorOptions elector;        // `node` and `core_node` are filled in
  NodeWriterOptions shown;       // the same, and `core_uid`
};

class Source {
 public:
  using OnState = std::function<void(const ClusterState&)>;
  static StatusOr<std::unique_ptr<Source>> Open(Cluster cluster, SourceOptions options, const Clock& clock,
                                                OnState on_state);
  ~Source();
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);

  // Never null. Before the first one came it is that of the cache.
  std::shared_ptr<const ClusterState> state() const LOCKS_EXCLUDED(mu_);
  StatusSink& status() { return status_; }
  void Record(const Event& event) { events_.Record(event); }
  // This node itself, for its MCPNode.
  void SetNode(const NodeStatus& node) { node_writer_.Set(node); }
  // The servers of its state that another source of this node has.
  void SetTaken(std::set<ServerKey> taken) { status_.SetTaken(std::move(taken)); }
  // Why the API server is not reachable, or refuses something; "" when all is well.
  std::string problem() const;
  bool reachable() const { return servers_.synced() && servers_.problem().empty(); }

 private:
  // What the API server has refused of an optional collection.
  struct Refusal {
    std::atomic<int> forbidden{0};    // times
    std::atomic<bool> absent{false};  // the cluster does not know this kind: there is none
  };
  Source(Cluster cluster, SourceOptions options, const Clock& clock, OnState on_state);
  InformerOptions Optional(const char* path, const std::string& name, Refusal* refusal,
                           void (Registry::*take)(const std::vector<Change>&));
  ElectorOptions ElectorFor();
  NodeWriterOptions ShownAs();
  static bool Answered(const Informer& informer, const Refusal& refusal) { return informer.synced() || refusal.absent; }
  static bool Settled(const Informer& informer, const Refusal& refusal);
  void Wake() LOCKS_EXCLUDED(mu_);
  void OnRegistry();
  void Run() LOCKS_EXCLUDED(mu_);
  // The state as of now; null while the API server has not said enough.
  std::shared_ptr<const ClusterState> Look();
  // Keeps on disk what there is to keep, when it is other than what was kept.
  void Keep(const ClusterState& state);
  void Publish(const std::shared_ptr<const ClusterState>& next) LOCKS_EXCLUDED(mu_);
  std::string CachePath() const { return options_.directory + "/objects.json"; }

  const SourceOptions options_;
  const Clock& clock_;
  const OnState on_state_;
  RestClient rest_;
  Registry registry_;
  StatusWriter status_;
  Merger merger_;
  EventWriter events_;
  NodeWriter node_writer_;
  SecretWatches core_secrets_;
  Refusal secrets_refused_, core_node_refused_, mcp_node_refused_;
  Informer servers_, secrets_, core_node_, mcp_node_;
  std::atomic<bool> running_{false};
  std::optional<CachedCluster> kept_;  // of the thread
  mutable Mutex mu_;
  CondVar wake_;
  bool woken_ GUARDED_BY(mu_) = false, stopping_ GUARDED_BY(mu_) = false;
  std::shared_ptr<const ClusterState> state_ GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace mcpfleet::kube
