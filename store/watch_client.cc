#include "store/watch_client.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/http/proxy.h"
#include "base/http/websocket_client.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/store_url.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr Duration kConnectTimeout = seconds(5);
constexpr Duration kSendTimeout = seconds(10);
constexpr Duration kQuiet = seconds(30);  // of a store that speaks heads only: then a ping, to see a dead connection
constexpr Duration kFirstBackOff = std::chrono::milliseconds(500);
constexpr Duration kLastBackOff = seconds(30);
constexpr Duration kHeld = seconds(10);  // a connection that ended sooner counts as one that failed
// Live lines and usage that wait to go out: some seconds of what the Worker passes on.
constexpr size_t kQueuedLiveBytes = size_t{1} << 20;
// What a store says in `kWindow` at most. More is no news, it is meant to keep the node busy.
constexpr Duration kWindow = seconds(10);
constexpr int kWindowMessages = 5000;
constexpr size_t kWindowBytes = size_t{16} << 20;

MonoTime Now() { return std::chrono::steady_clock::now(); }

class Watcher final : public WatchClient {
 public:
  Watcher(http::Endpoint endpoint, http::ClientOptions way, WatchOptions options, WatchCallbacks callbacks)
      : endpoint_(std::move(endpoint)),
        way_(std::move(way)),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        rng_(options_.jitter_seed != 0 ? options_.jitter_seed : std::random_device()()),
        nonce_(options_.nonce) {}
  ~Watcher() override { Watcher::Stop(); }

  bool valid() const { return wake_.valid(); }

  void Start() override {
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() override {
    {
      MutexLock lock(&mu_);
      stop_ = true;
      if (socket_ != nullptr) socket_->Cancel();
      waiting_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
  }

  void Reconnect() override {
    MutexLock lock(&mu_);
    reconnect_ = true;
    waiting_.NotifyAll();
    Wake();
  }

  bool connected() const override {
    MutexLock lock(&mu_);
    return connected_;
  }

  bool SendStatus(std::string_view status_json, std::string_view metadata_json) override {
    std::string message = EncodeStatusMessage(status_json, metadata_json);
    if (message.empty()) return false;
    MutexLock lock(&mu_);
    if (!typed_) return false;
    status_ = std::move(message);
    Wake();
    return true;
  }

  bool SendLog(std::string_view ns, std::string_view server, std::vector<LiveLine> lines) override {
    return SendLive([&] { return lines.empty() ? "" : EncodeLogMessage(ns, server, &lines); });
  }

  bool SendUsage(std::vector<std::string> servers) override {
    return SendLive([&] { return servers.empty() ? "" : EncodeUsageMessage(&servers); });
  }

 private:
  // All messages that `next` gives until it gives none, or none of them.
  template <typename Next>
  bool SendLive(const Next& next) {
    {
      MutexLock lock(&mu_);
      if (!typed_ || Now() < slow_until_) return false;
    }
    std::vector<std::string> messages;
    size_t bytes = 0;
    for (std::string message = next(); !message.empty(); message = next()) {
      bytes += message.size();
      if (bytes > kQueuedLiveBytes) return false;
      messages.push_back(std::move(message));
    }
    MutexLock lock(&mu_);
    if (!typed_ || live_bytes_ + bytes > kQueuedLiveBytes) return false;
    live_bytes_ += bytes;
    std::move(messages.begin(), messages.end(), std::back_inserter(live_));
    Wake();
    return true;
  }

  void Run() {
    for (int failures = 0; Begin();) {
      const std::string token = options_.tokens->Get();
      StatusOr<std::unique_ptr<http::WebSocketClient>> socket = Connect(token);
      bool held = false;
      if (socket.ok() && Adopt(socket->get())) {
        const MonoTime since = Now();
        const Status ended = Listen(**socket);
        (*socket)->Close(1000);
        Drop();
        held = Now() - since >= kHeld;
        LOG_DEBUG("watch ended", {{"error", ended}});
        if (ended.code() == StatusCode::kCancelled) continue;
      } else if (!socket.ok()) {
        LOG_DEBUG("watch not connected", {{"error", socket.status()}});
        // Joined again, or rotated by another process.
        if (socket.status().code() == StatusCode::kUnauthenticated && options_.tokens->Renew(token)) continue;
      }
      failures = held ? 0 : failures + 1;
      BackOff(failures);
    }
  }

  StatusOr<std::unique_ptr<http::WebSocketClient>> Connect(const std::string& token) {
    http::Headers headers;
    if (!token.empty()) headers.Add("Authorization", "Bearer " + token);
    if (!nonce_.empty()) headers.Add("Mcpfleet-Nonce", nonce_);
    http::WebSocketClient::Options limits;
    limits.max_message = kWatchMessageBytes;
    limits.subprotocol = kWatchProtocol;
    limits.client = way_;
    return http::WebSocketClient::Connect(endpoint_, "/v1/watch", headers, Deadline::After(kConnectTimeout), limits);
  }

  // Until the connection ends, or this client; why.
  Status Listen(http::WebSocketClient& socket) {
    const bool typed = socket.subprotocol() == kWatchProtocol;
    MonoTime ping_at = Now() + (typed ? hints_.ping : kQuiet);
    MonoTime pong_by = MonoTime::max();  // of the first ping that nothing came after
    window_end_ = MonoTime::min();
    for (;;) {
      RETURN_IF_ERROR(SendQueued(socket));
      if (Now() >= pong_by) return Unavailable("no pong: the connection is dead");
      if (Now() >= ping_at) {
        const Deadline deadline = Deadline::After(kSendTimeout);
        RETURN_IF_ERROR(typed ? socket.SendText("ping", deadline) : socket.Ping(deadline));
        ping_at = Now() + (typed ? hints_.ping : kQuiet);
        if (typed) pong_by = std::min(pong_by, Now() + options_.pong_timeout);
      }
      StatusOr<std::string> text = socket.ReadText(Deadline(std::min(ping_at, pong_by)), wake_.get());
      if (text.ok()) {
        pong_by = MonoTime::max();
        RETURN_IF_ERROR(Hear(socket, *text, typed));
        // The first hello says how often.
        if (typed) ping_at = std::min(ping_at, Now() + hints_.ping);
      } else if (text.status().code() != StatusCode::kDeadlineExceeded) {
        // A frame that is none, or a message that is too large.
        const StatusCode code = text.status().code();
        if (code == StatusCode::kInvalidArgument || code == StatusCode::kResourceExhausted) {
          Tell(callbacks_.on_unreadable, text.status());
        }
        return text.status();
      }
    }
  }

  Status Hear(http::WebSocketClient& socket, const std::string& text, bool typed) {
    if (Now() >= window_end_) {
      window_end_ = Now() + kWindow;
      window_messages_ = 0;
      window_bytes_ = 0;
    }
    ++window_messages_;
    window_bytes_ += text.size();
    if (window_messages_ > kWindowMessages || window_bytes_ > kWindowBytes) {
      Status too_much = ResourceExhausted("the store says more than a node listens to");
      Tell(callbacks_.on_unreadable, too_much);
      return too_much;
    }
    StatusOr<WatchMessage> message = ParseWatchMessage(text, options_.node);
    if (!message.ok()) {
      if (typed) Tell(callbacks_.on_unreadable, message.status());
      return OkStatus();
    }
    if (message->kind == WatchMessage::Kind::kHead) {
      Tell(callbacks_.on_head, text);
      return OkStatus();
    }
    return typed ? Obey(socket, *message) : OkStatus();
  }

  Status Obey(http::WebSocketClient& socket, const WatchMessage& message) {
    switch (message.kind) {
      case WatchMessage::Kind::kHello:
        hints_ = message.hints;
        Tell(callbacks_.on_hints, hints_);
        if (message.down) Tell(callbacks_.on_down, *message.down);
        Tell(callbacks_.on_follow, message.follow);
        Tell(callbacks_.on_measure, message.measure);
        return Confirm(socket, message.nonce);
      case WatchMessage::Kind::kValues:
        Tell(callbacks_.on_values, message.values);
        break;
      case WatchMessage::Kind::kDown:
        if (message.down) Tell(callbacks_.on_down, *message.down);
        break;
      case WatchMessage::Kind::kFollow:
        Tell(callbacks_.on_follow, message.follow);
        break;
      case WatchMessage::Kind::kMeasure:
        Tell(callbacks_.on_measure, message.measure);
        break;
      case WatchMessage::Kind::kRotate:
        Tell(callbacks_.on_rotate);
        break;
      case WatchMessage::Kind::kStatusStored:
        Tell(callbacks_.on_status_stored, message.sequence);
        break;
      case WatchMessage::Kind::kSlow: {
        MutexLock lock(&mu_);
        slow_until_ = Now() + message.retry_after;
        break;
      }
      case WatchMessage::Kind::kError:
        LOG_WARNING("the store did not understand a message of this node", {{"reason", message.error}});
        Tell(callbacks_.on_error, message.error);
        break;
      case WatchMessage::Kind::kPong:
        Tell(callbacks_.on_alive);
        break;
      case WatchMessage::Kind::kHead:
      case WatchMessage::Kind::kUnknown:
        break;
    }
    return OkStatus();
  }

  // Confirmed once it is kept: a node that confirmed a number and then lost it would be taken for a copy of itself.
  Status Confirm(http::WebSocketClient& socket, const std::string& nonce) {
    if (nonce.empty() || !callbacks_.on_nonce) return OkStatus();
    if (const Status kept = callbacks_.on_nonce(nonce); !kept.ok()) {
      LOG_WARNING("the store's nonce could not be kept", {{"error", kept}});
      return OkStatus();
    }
    nonce_ = nonce;
    return socket.SendText(EncodeNonceMessage(nonce), Deadline::After(kSendTimeout));
  }

  // One after the other, so that what is waiting stays bounded while one of them takes its time.
  Status SendQueued(http::WebSocketClient& socket) {
    for (;;) {
      std::string message;
      {
        MutexLock lock(&mu_);
        uint64_t count = 0;
        [[maybe_unused]] ssize_t n = read(wake_.get(), &count, sizeof count);
        if (stop_) return Cancelled("stopped");
        if (reconnect_) return Cancelled("to connect again");
        if (status_) {
          message = *std::exchange(status_, std::nullopt);
        } else if (!live_.empty()) {
          message = std::move(live_.front());
          live_.pop_front();
          live_bytes_ -= message.size();
        }
      }
      if (message.empty()) return OkStatus();
      RETURN_IF_ERROR(socket.SendText(message, Deadline::After(kSendTimeout)));
    }
  }

  template <typename Callback, typename... Args>
  static void Tell(const Callback& callback, const Args&... args) {
    if (callback) callback(args...);
  }

  // Before the token is read: who asks for another connection after that gets one more.
  bool Begin() {
    MutexLock lock(&mu_);
    reconnect_ = false;
    return !stop_;
  }

  void Wake() {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
  }

  // Makes the socket known to the others; false when this client ends.
  bool Adopt(http::WebSocketClient* socket) {
    {
      MutexLock lock(&mu_);
      if (stop_) return false;
      socket_ = socket;
      connected_ = true;
      typed_ = socket->subprotocol() == kWatchProtocol;
    }
    Tell(callbacks_.on_change, true);
    return true;
  }

  void Drop() {
    {
      MutexLock lock(&mu_);
      socket_ = nullptr;
      connected_ = typed_ = false;
      status_.reset();
      live_.clear();
      live_bytes_ = 0;
    }
    Tell(callbacks_.on_change, false);
  }

  // failures: since the last connection that held.
  void BackOff(int failures) {
    // A store that was deployed anew drops everybody together: they come back spread over what it asked for.
    const Duration spread = std::max(hints_.reconnect_spread, kFirstBackOff);
    const Duration window =
        std::max(spread, std::min(kLastBackOff, kFirstBackOff * (int64_t{1} << std::clamp(failures - 1, 0, 10))));
    const Duration least = failures == 0 ? Duration::zero() : window / 2;
    const auto part = static_cast<uint64_t>((window - least).count());
    const Deadline until = Deadline::After(least + Duration(static_cast<int64_t>(rng_() % part)));
    MutexLock lock(&mu_);
    while (!stop_ && !reconnect_ && waiting_.WaitUntil(&mu_, until)) {
      // Woken early: only these count.
    }
  }

  const http::Endpoint endpoint_;
  const http::ClientOptions way_;  // proxy and certificates
  const WatchOptions options_;
  const WatchCallbacks callbacks_;
  const UniqueFd wake_;  // an eventfd: the thread has something to send, or to look at

  // Of the thread.
  std::mt19937_64 rng_;
  std::string nonce_;                                       // kept, and told to the store at the next connect
  WatchHints hints_{.reconnect_spread = Duration::zero()};  // the last that were told; no spread before that
  MonoTime window_end_{};
  int window_messages_ = 0;
  size_t window_bytes_ = 0;

  mutable Mutex mu_;
  CondVar waiting_;
  bool stop_ GUARDED_BY(mu_) = false, reconnect_ GUARDED_BY(mu_) = false;
  bool connected_ GUARDED_BY(mu_) = false;
  bool typed_ GUARDED_BY(mu_) = false;  // mcpfleet.v1 is spoken
  std::optional<std::string> status_ GUARDED_BY(mu_);
  std::deque<std::string> live_ GUARDED_BY(mu_);
  size_t live_bytes_ GUARDED_BY(mu_) = 0;
  MonoTime slow_until_ GUARDED_BY(mu_) = MonoTime::min();
  http::WebSocketClient* socket_ GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<WatchClient>> WatchClient::Create(WatchOptions options, WatchCallbacks callbacks) {
  ASSIGN_OR_RETURN(http::Endpoint endpoint, ParseStoreUrl(options.base_url));
  ASSIGN_OR_RETURN(const http::Proxy proxy, http::ProxyFor(options.proxy, options.base_url));
  if (options.tokens == nullptr) {
    ASSIGN_OR_RETURN(options.tokens, TokenSource::Fixed(options.token));
  }
  http::ClientOptions way{.ca_file = options.ca_file};
  proxy.Apply(&way);
  auto watcher =
      std::make_unique<Watcher>(std::move(endpoint), std::move(way), std::move(options), std::move(callbacks));
  if (!watcher->valid()) return ResourceExhausted("no descriptor left for the watch");
  return watcher;
}

}  // namespace mcpfleet
