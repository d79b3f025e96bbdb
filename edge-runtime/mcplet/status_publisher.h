// Carries this node's status to the store: one key, nodes/<node>, one writer. Written when something other than the
// volatile fields (heartbeat, next attempt, times of probes) changed, no more often than `min_interval`, and every
// `refresh_interval` as a sign of life. A store that is away loses nothing: what counts is the latest.
//
// Set, Remove, SetNode never block. One thread of its own; Stop writes what is due and ends it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/recorder.h"
#include "crd/server_status.h"
#include "store/kv_client.h"

namespace mcpfleet {

struct StatusPublisherOptions {
  std::string node, boot_id, version;
  Duration min_interval = std::chrono::seconds(5);
  Duration refresh_interval = std::chrono::minutes(15);
  Duration request_timeout = std::chrono::seconds(20);
  // Outcome of each write, for StoreReachable; from the publisher's thread.
  std::function<void(const Status&)> on_write;
};

// What of a node's status is worth a write: equal digests are equal news. Pure.
std::string StatusDigest(NodeStatus status);
// metadata of the key: the row of the node table, at most 1024 bytes. Pure.
std::string StatusMetadata(const NodeStatus& status);

class StatusPublisher final : public StatusSink {
 public:
  StatusPublisher(KvClient& kv, const Clock& clock, StatusPublisherOptions options);
  ~StatusPublisher() override;
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  void Set(const ServerStatus& status) override LOCKS_EXCLUDED(mu_);
  void Remove(const ServerKey& server) override LOCKS_EXCLUDED(mu_);
  // Head, runtimes and conditions of the node itself; servers and identity are kept.
  void SetNode(const NodeStatus& node) LOCKS_EXCLUDED(mu_);
  // The whole status as of now.
  NodeStatus Current() const LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  void Touch() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  KvClient& kv_;
  const Clock& clock_;
  const StatusPublisherOptions options_;
  mutable Mutex mu_;
  CondVar wake_;
  NodeStatus node_ GUARDED_BY(mu_);
  std::map<ServerKey, ServerStatus> servers_ GUARDED_BY(mu_);
  bool touched_ GUARDED_BY(mu_) = true;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet
