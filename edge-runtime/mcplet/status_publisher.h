// Carries this node's status to the store: one key, nodes/<node>, one writer. Written when something other than the
// volatile fields (heartbeat, next attempt, times of probes) changed, no more often than `min_interval`, and every
// `refresh_interval` as a sign of life. A store that is away loses nothing: what counts is the latest.
//
// Where the store takes statuses over its socket it goes out that way, and into the key when it was not acknowledged.
//
// Set, Remove, SetNode, Stored, PushFailed never block. One thread of its own; Stop writes what is due and ends it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

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
  // Sends the status over the store's socket; false when it can't now. Null: never. From the publisher's thread.
  std::function<bool(const std::string& status, const std::string& metadata)> push;
  Duration push_interval = std::chrono::seconds(1);  // instead of min_interval: nobody bills a message
  Duration push_timeout = std::chrono::seconds(10);  // until it is acknowledged
  // Outcome of each write, for StoreReachable; from the publisher's thread.
  std::function<void(const Status&)> on_write;
};

// What of a node's status is worth a write: equal digests are equal news. Pure.
std::string StatusDigest(NodeStatus status);
// metadata of the key: the row of the node table, at most 1024 bytes. Pure.
std::string StatusMetadata(const NodeStatus& status);

class StatusPublisher final : public StatusSink {
 public:
  StatusPublisher(KvClient& kv, const Clock& clock, StatusPublisherOptions options)
      : StatusPublisher(&kv, clock, std::move(options)) {}
  // Null: a node without a store. Nothing is written; Current is for the admin API.
  StatusPublisher(KvClient* kv, const Clock& clock, StatusPublisherOptions options);
  ~StatusPublisher() override;
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  void Set(const ServerStatus& status) override LOCKS_EXCLUDED(mu_);
  void Remove(const ServerKey& server) override LOCKS_EXCLUDED(mu_);
  // Head, runtimes and conditions of the node itself; servers and identity are kept.
  void SetNode(const NodeStatus& node) LOCKS_EXCLUDED(mu_);
  // The store has what was pushed under this sequence.
  void Stored(int64_t sequence) LOCKS_EXCLUDED(mu_);
  // What was pushed and not acknowledged won't be: the socket is gone, or the store did not understand it.
  void PushFailed() LOCKS_EXCLUDED(mu_);
  // The whole status as of now.
  NodeStatus Current() const LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // True when the store has acknowledged it.
  bool Push(const NodeStatus& status, const std::string& body, const std::string& metadata, Duration timeout)
      LOCKS_EXCLUDED(mu_);
  void Touch() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  KvClient* const kv_;
  const Clock& clock_;
  const StatusPublisherOptions options_;
  mutable Mutex mu_;
  CondVar wake_;
  NodeStatus node_ GUARDED_BY(mu_);
  std::map<ServerKey, ServerStatus> servers_ GUARDED_BY(mu_);
  bool touched_ GUARDED_BY(mu_) = true;
  int64_t stored_ GUARDED_BY(mu_) = 0;  // the highest sequence that was acknowledged
  bool push_failed_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet
