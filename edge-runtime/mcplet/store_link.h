// mcplet's connection to its store, whichever kind: the embedded one with its server, or a remote one with its watch.
// Owns the sync loop's thread: poll, push, retry, and hands each accepted state to the callback. With the Worker as the
// store it polls as that asks for, keeps its nonce in <state directory>/nonce, and gets a new device token when told
// to.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "store/head_sync.h"
#include "store/kv_client.h"
#include "store/local_cache.h"
#include "store/server/embedded_kv.h"
#include "store/server/kv_server.h"
#include "store/token_source.h"
#include "store/watch_client.h"
#include "store/worker_api.h"

namespace mcpfleet {

struct StoreCallbacks {
  // From the sync thread after each step that accepted something.
  std::function<void(const AcceptedState&)> on_state;
  std::function<void(std::string_view op, int code)> on_request;
  // From the sync thread after each step.
  std::function<void(const Status& step, const SyncStats& stats)> on_step;
  // From the sync thread too: something was counted without a step, a push that can't be read.
  std::function<void(const SyncStats& stats)> on_count;
  // From the watch's thread, and of the Worker only; see WatchCallbacks.
  std::function<void(const DownList&)> on_down;  // the sync knows it already
  std::function<void(const std::vector<FollowedServer>&)> on_follow;
  std::function<void(const std::vector<MeasuredServer>&)> on_measure;
  std::function<void()> on_alive;
  std::function<void(int64_t sequence)> on_status_stored;
  std::function<void()> on_status_lost;  // what was sent and not acknowledged won't be
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

  // Whether this is the embedded store's operator token.
  bool IsOperator(std::string_view token) const;
  KvClient& config_kv() { return *config_kv_; }
  KvClient& status_kv() { return *status_kv_; }
  std::shared_ptr<const AcceptedState> state() const { return sync_->state(); }
  SyncStats stats() const { return sync_->stats(); }
  // For the Worker's own API.
  StatusOr<std::unique_ptr<WorkerApi>> ConnectWorker() const;
  bool reachable() const { return reachable_.load(); }
  // Why the last step failed; "": it did not, or there was none.
  std::string trouble() const LOCKS_EXCLUDED(mu_);
  bool watching() const { return watch_ != nullptr && watch_->connected(); }
  // As WatchClient's; any thread, at any time.
  bool SendStatus(const std::string& status, const std::string& metadata) {
    return watch_ != nullptr && watch_->SendStatus(status, metadata);
  }
  bool SendLog(std::string_view ns, std::string_view server, std::vector<LiveLine> lines) {
    return watch_ != nullptr && watch_->SendLog(ns, server, std::move(lines));
  }
  bool SendUsage(std::vector<std::string> servers) {
    return watch_ != nullptr && watch_->SendUsage(std::move(servers));
  }
  uint16_t port() const { return server_ == nullptr ? 0 : server_->port(); }

 private:
  StoreLink(const Config& config, const Clock& clock, StoreCallbacks callbacks);
  Status OpenEmbedded();
  Status OpenRemote(uint64_t seed);
  Status OpenWatch(uint64_t seed);
  // Which nodes are down, asked of the Worker; FailedPrecondition where there is none.
  StatusOr<DownList> ReadDown(Deadline deadline) const;
  void Wake() LOCKS_EXCLUDED(mu_);
  void Run();
  // When something is due: the sync, or the new token.
  MonoTime NextDue() const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnWatchChange(bool connected);
  void OnRotate() LOCKS_EXCLUDED(mu_);
  void RotateWhenDue() LOCKS_EXCLUDED(mu_);
  Status Rotate();

  const Config& config_;
  const Clock& clock_;
  const StoreCallbacks callbacks_;
  std::unique_ptr<EmbeddedKv> embedded_;
  std::unique_ptr<KvServer> server_;
  std::string operator_hash_;  // of the embedded store's operator token
  std::unique_ptr<KvClient> config_kv_, status_kv_;
  std::unique_ptr<LocalCache> cache_;
  std::unique_ptr<HeadSync> sync_;
  std::string watch_url_;
  std::shared_ptr<TokenSource> tokens_;
  std::optional<WatchHints> hints_;  // of the watch's thread: the last that were told
  std::atomic<bool> reachable_{false}, redeliver_{false}, counted_{false};

  mutable Mutex mu_;
  std::string trouble_ GUARDED_BY(mu_);
  CondVar wake_;
  bool woken_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  MonoTime rotate_at_ GUARDED_BY(mu_) = MonoTime::max();
  MonoTime rotated_at_ GUARDED_BY(mu_) = MonoTime::min();  // the last try
  std::unique_ptr<WatchClient> watch_;                     // from Open on; null when there can't be one
  std::thread thread_;
};

}  // namespace mcpfleet
