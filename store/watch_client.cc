#include "store/watch_client.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/http/websocket_client.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/store_url.h"

namespace mcpfleet {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(5);
constexpr Duration kQuiet = std::chrono::seconds(30);  // then a ping; unanswered for as long again: gone
constexpr Duration kFirstBackOff = std::chrono::milliseconds(500);
constexpr Duration kLastBackOff = std::chrono::seconds(30);

class Watcher final : public WatchClient {
 public:
  Watcher(http::Endpoint endpoint, http::ClientOptions way, WatchOptions options,
          std::function<void(std::string_view)> on_head, std::function<void(bool)> on_change)
      : endpoint_(std::move(endpoint)),
        way_(std::move(way)),
        options_(std::move(options)),
        on_head_(std::move(on_head)),
        on_change_(std::move(on_change)),
        rng_(options_.jitter_seed != 0 ? options_.jitter_seed : std::random_device()()),
        thread_([this] { Run(); }) {}

  ~Watcher() override {
    {
      MutexLock lock(&mu_);
      stop_ = true;
      if (socket_ != nullptr) socket_->Cancel();
      stopping_.NotifyAll();
    }
    thread_.join();
  }

  bool connected() const override { return connected_; }

 private:
  void Run() {
    for (int failures = 0; !Stopped();) {
      StatusOr<std::unique_ptr<http::WebSocketClient>> socket = Connect();
      if (socket.ok() && Adopt(socket->get())) {
        failures = 0;
        SetConnected(true);
        Status ended = Listen(**socket);
        Adopt(nullptr);
        SetConnected(false);
        LOG_DEBUG("watch ended", {{"error", ended}});
      } else if (!socket.ok()) {
        LOG_DEBUG("watch not connected", {{"error", socket.status()}});
      }
      BackOff(failures++);
    }
  }

  StatusOr<std::unique_ptr<http::WebSocketClient>> Connect() {
    http::Headers headers;
    if (!options_.token.empty()) headers.Add("Authorization", "Bearer " + options_.token);
    http::WebSocketClient::Options limits;
    limits.max_message = limits::kHeadBytes;
    limits.client = way_;
    return http::WebSocketClient::Connect(endpoint_, "/v1/watch", headers, Deadline::After(kConnectTimeout), limits);
  }

  Status Listen(http::WebSocketClient& socket) {
    bool asked = false;
    while (!Stopped()) {
      StatusOr<std::string> text = socket.ReadText(Deadline::After(kQuiet));
      if (text.ok()) {
        asked = false;
        on_head_(*text);
        continue;
      }
      if (text.status().code() != StatusCode::kDeadlineExceeded) return text.status();
      // Silence is normal; a dead connection shows in a ping that can't be sent, at the latest after TCP's own time.
      RETURN_IF_ERROR(socket.Ping(Deadline::After(kConnectTimeout)));
      if (asked) LOG_DEBUG("watch is quiet");
      asked = true;
    }
    return Cancelled("stopped");
  }

  bool Stopped() {
    MutexLock lock(&mu_);
    return stop_;
  }

  // Makes the socket known to the destructor; false when that has begun.
  bool Adopt(http::WebSocketClient* socket) {
    MutexLock lock(&mu_);
    socket_ = stop_ ? nullptr : socket;
    return !stop_;
  }

  void SetConnected(bool connected) {
    connected_ = connected;
    if (on_change_) on_change_(connected);
  }

  void BackOff(int failures) {
    Duration window = std::min(kLastBackOff, kFirstBackOff * (int64_t{1} << std::min(failures, 10)));
    Deadline until = Deadline::After(
        Duration(window.count() / 2 + static_cast<int64_t>(rng_() % static_cast<uint64_t>(window.count() / 2))));
    MutexLock lock(&mu_);
    while (!stop_ && stopping_.WaitUntil(&mu_, until)) {
      // Woken early: only the stop counts.
    }
  }

  const http::Endpoint endpoint_;
  const http::ClientOptions way_;  // proxy and certificates
  const WatchOptions options_;
  const std::function<void(std::string_view)> on_head_;
  const std::function<void(bool)> on_change_;
  std::mt19937_64 rng_;  // of the thread
  std::atomic<bool> connected_{false};
  Mutex mu_;
  CondVar stopping_;
  bool stop_ GUARDED_BY(mu_) = false;
  http::WebSocketClient* socket_ GUARDED_BY(mu_) = nullptr;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

StatusOr<std::unique_ptr<WatchClient>> WatchClient::Create(WatchOptions options,
                                                           std::function<void(std::string_view)> on_head,
                                                           std::function<void(bool)> on_change) {
  ASSIGN_OR_RETURN(http::Endpoint endpoint, ParseStoreUrl(options.base_url));
  ASSIGN_OR_RETURN(StoreProxy proxy, ProxyFor(options.proxy, options.base_url));
  http::ClientOptions way{.ca_file = options.ca_file, .proxy = proxy.endpoint};
  if (!proxy.user.empty()) way.proxy_authorization = "Basic " + Base64Encode(proxy.user + ":" + proxy.password);
  return std::make_unique<Watcher>(std::move(endpoint), std::move(way), std::move(options), std::move(on_head),
                                   std::move(on_change));
}

}  // namespace mcpfleet
