// Shows this node as an MCPNode: `kubectl get mcpnodes`. Where there is none of its name it makes one, owned by the
// machine's core/v1 Node if it saw that, so that the two go together; one that is there, whoever made it, is left as it
// is. Only status is written after that, by server-side apply: when it has changed, at most once in `min_interval`, and
// every `refresh`, as kubelet does. The sign of life that others judge by is the Lease (elector.h), not this.
//
// A role that forbids it, or a cluster without this kind, costs a request now and then and is said in the log once.
//
// Set never blocks. One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "crd/server_status.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

struct NodeWriterOptions {
  std::string node, core_node;
  // The uid of the core/v1 Node, "" where there is none; nullopt: not heard yet, and no MCPNode is made before.
  std::function<std::optional<std::string>()> core_uid = [] { return std::string(); };
  Duration min_interval = std::chrono::seconds(10), refresh = std::chrono::minutes(5);
  Duration first_pause = std::chrono::seconds(5);  // after a failure; doubles up to `refresh`
  Duration timeout = std::chrono::seconds(15);
};

class NodeWriter {
 public:
  NodeWriter(RestClient& rest, const Clock& clock, NodeWriterOptions options);
  ~NodeWriter();
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  // The node as it is now; heartbeat, sequence and servers are not looked at.
  void Set(const NodeStatus& node) LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  Status Write(const NodeStatus& node);
  Status Apply(const NodeStatus& node);
  Status Create();

  RestClient& rest_;
  const Clock& clock_;
  const NodeWriterOptions options_;
  int64_t sequence_ = 0;               // of the thread
  StatusCode said_ = StatusCode::kOk;  // of the thread
  mutable Mutex mu_;
  CondVar wake_;
  NodeStatus node_ GUARDED_BY(mu_);
  bool known_ GUARDED_BY(mu_) = false, stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// What is worth a write, and the status as the MCPNode has it. Pure.
std::string NodeDigest(const NodeStatus& node);
Json MCPNodeStatus(const NodeStatus& node, int64_t sequence, WallTime now);

}  // namespace mcpfleet::kube
