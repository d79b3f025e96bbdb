// mcplet's connection to its store, whichever kind: the embedded one with its server, or a remote one with its watch.
// Owns the sync loop's thread: poll, push, retry, and hands each accepted state to the callback.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "store/head_sync.h"
#include "store/kv_client.h"
#include "store/local_cache.h"
#include "store/server/embedded_kv.h"
#include "store/server/kv_server.h"
#include "store/watch_client.h"
#include "store/worker_api.h"

namespace mcpfleet {

struct StoreCallbacks {
  // From the sync thread after each step that accepted something.
  std::function<void(const AcceptedState&)> on_state;
  std::function<void(std::string_view op, int code)> on_request;
  // From the sync thread after each step.
  std::function<void(const Status& step, const SyncStats& stats)> on_step;
};

class StoreLink {
 public:
  // Opens the store (embedded: its file and its port) and boots from the cache. `clock` must outlive it.
  static StatusOr<std::unique_ptr<StoreLink>> Open(const Config& config, const Clock& clock, uint64_t seed,
                                                   StoreCallbacks callbacks);
  ~StoreLink();
  // Delivers the cached state, then follows the store.
  void Start();
  void Stop();
  // Delivers the state once more, from the sync thread: something else that it is read with has changed.
  void Redeliver();

  // What the store's socket tells of the fleet (WatchCallbacks::on_down, on_change): servers with replicas move by it.
  void SetDown(const DownList& list) LOCKS_EXCLUDED(mu_);
  void SetConnected(bool connected) LOCKS_EXCLUDED(mu_);

  KvClient& status_kv() { return *status_kv_; }
  std::shared_ptr<const AcceptedState> state() const { return sync_->state(); }
  SyncStats stats() const { return sync_->stats(); }
  std::string distrust() const { return sync_->stats().distrust; }
  // For the Worker's own API, with the token as it is in its file now.
  StatusOr<std::unique_ptr<WorkerApi>> ConnectWorker() const;
  bool reachable() const { return reachable_.load(); }
  bool watching() const { return watch_ != nullptr && watch_->connected(); }  // after Start, before Stop
  uint16_t port() const { return server_ == nullptr ? 0 : server_->port(); }

 private:
  StoreLink(const Config& config, const Clock& clock, StoreCallbacks callbacks);
  Status OpenEmbedded();
  Status OpenRemote(uint64_t seed);
  // Which nodes are down, asked of the Worker; FailedPrecondition where there is none.
  StatusOr<DownList> ReadDown(Deadline deadline) const;
  void Wake() LOCKS_EXCLUDED(mu_);
  void Run();

  const Config& config_;
  const Clock& clock_;
  const StoreCallbacks callbacks_;
  std::unique_ptr<EmbeddedKv> embedded_;
  std::unique_ptr<KvServer> server_;
  std::unique_ptr<KvClient> config_kv_, status_kv_;
  std::unique_ptr<LocalCache> cache_;
  std::unique_ptr<HeadSync> sync_;
  std::unique_ptr<WatchClient> watch_;
  std::string watch_url_, token_;
  std::atomic<bool> reachable_{false}, redeliver_{false};

  Mutex mu_;
  CondVar wake_;
  bool woken_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet
