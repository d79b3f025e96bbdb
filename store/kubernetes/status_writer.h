// Writes this node's entry of status.nodes[] of each MCPServer: server-side apply on the status subresource, the field
// manager named after the node, so that no node touches another's entry.
//
// Level-triggered: what is to stand there is computed from what the controller says, and written when it is other than
// what was written last, at most once in `min_interval` for one object and `per_second` altogether. A server that this
// node has let go loses its entry; that is what the finalizer waits for.
//
// Set, Remove and SetTaken never block. One thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/recorder.h"
#include "store/kubernetes/budget.h"
#include "store/kubernetes/registry.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

struct StatusWriterOptions {
  std::string node;
  // Whether the controller has looked at all that runs here: before, that it says nothing of a server means nothing.
  std::function<bool()> looked;
  Duration min_interval = std::chrono::seconds(1), refresh = std::chrono::minutes(10);
  int per_second = 10;  // writes, all objects together
  Duration first_pause = std::chrono::seconds(1), longest_pause = std::chrono::minutes(1);
  Duration timeout = std::chrono::seconds(15);
};

class StatusWriter final : public StatusSink {
 public:
  StatusWriter(RestClient& rest, const Registry& registry, const Clock& clock, StatusWriterOptions options);
  ~StatusWriter() override;
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);  // writes what is due once more, for at most 2 s
  void Set(const ServerStatus& status) override LOCKS_EXCLUDED(mu_);
  void Remove(const ServerKey& server) override LOCKS_EXCLUDED(mu_);
  // The servers that another source of this node has.
  void SetTaken(std::set<ServerKey> taken) LOCKS_EXCLUDED(mu_);
  void Wake() LOCKS_EXCLUDED(mu_);
  // Why the last write failed; "" when it did not.
  std::string problem() const LOCKS_EXCLUDED(mu_);

 private:
  struct Written {
    std::string uid, digest;  // digest "": the entry was given up
    bool seen = false;        // the API server has shown it since
    MonoTime at{}, retry_at{};
    int failures = 0;
  };
  void Run();
  // Writes what is due; when something is due next.
  MonoTime Step(Deadline deadline) LOCKS_EXCLUDED(mu_);
  // The entry that is to be there: null for none; nullopt: it is not known.
  std::optional<Json> Wanted(const ServerKey& key, const Resource& resource) LOCKS_EXCLUDED(mu_);
  Status Write(const ServerKey& key, const Resource& resource, const Json& entry, Deadline deadline);
  void Report(const Status& status) LOCKS_EXCLUDED(mu_);

  RestClient& rest_;
  const Registry& registry_;
  const Clock& clock_;
  const StatusWriterOptions options_;
  std::map<ServerKey, Written> written_;  // of the thread
  Budget budget_;                         // of the thread
  mutable Mutex mu_;
  CondVar wake_;
  std::map<ServerKey, ServerStatus> servers_ GUARDED_BY(mu_);
  std::set<ServerKey> taken_ GUARDED_BY(mu_);
  std::string problem_ GUARDED_BY(mu_);
  bool woken_ GUARDED_BY(mu_) = false, stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// The field manager of a node's entries.
std::string ManagerOf(const std::string& node);

}  // namespace mcpfleet::kube
