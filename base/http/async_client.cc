#include "base/http/async_client.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "base/http/async_socket.h"
#include "base/http/connection.h"
#include "base/http/response_parser.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

bool IsIdempotent(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

// How long the server keeps an idle connection, less a second, so that we are the first to close it. Node's default is
// five seconds.
Duration KeptFor(const Headers& headers, Duration most) {
  for (const std::string& part : Split(headers.Get("Keep-Alive").value_or(""), ',')) {
    std::string_view item = Trim(part);
    if (!item.starts_with("timeout=")) continue;
    item.remove_prefix(8);
    int seconds = 0;
    const auto parsed = std::from_chars(item.data(), item.data() + item.size(), seconds);
    if (parsed.ec == std::errc()) return std::min<Duration>(most, std::chrono::seconds(std::max(seconds - 1, 0)));
  }
  return most;
}

}  // namespace

// Kept connections, the newest last.
class AsyncClient::Pool : public std::enable_shared_from_this<AsyncClient::Pool> {
 public:
  Pool(boost::asio::io_context& loop, Endpoint endpoint, AsyncOptions options)
      : loop_(loop), endpoint_(std::move(endpoint)), options_(std::move(options)) {}

  std::shared_ptr<AsyncSocket> Take() {
    while (!kept_.empty()) {
      std::shared_ptr<AsyncSocket> socket = std::move(kept_.back());
      kept_.pop_back();
      if (socket->StopWatching()) return socket;
      socket->Close();
    }
    return nullptr;
  }
  void Keep(std::shared_ptr<AsyncSocket> socket, Duration time) {
    if (ended_ || time <= Duration::zero() || kept_.size() >= options_.max_idle) return socket->Close();
    socket->Watch(time, [pool = weak_from_this(), raw = socket.get()] {
      if (const std::shared_ptr<Pool> here = pool.lock()) here->Drop(raw);
    });
    kept_.push_back(std::move(socket));
  }
  void End() {
    ended_ = true;
    for (const std::shared_ptr<AsyncSocket>& socket : std::exchange(kept_, {})) socket->Close();
  }
  boost::asio::io_context& loop() { return loop_; }
  const Endpoint& endpoint() const { return endpoint_; }
  const AsyncOptions& options() const { return options_; }

 private:
  void Drop(const AsyncSocket* raw) {
    const auto at = std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) { return kept.get() == raw; });
    if (at == kept_.end()) return;
    (*at)->Close();
    kept_.erase(at);
  }
  boost::asio::io_context& loop_;
  const Endpoint endpoint_;
  const AsyncOptions options_;
  std::vector<std::shared_ptr<AsyncSocket>> kept_;  // shared with the operations under way on them
  bool ended_ = false;
};

// One request and its answer. Kept alive by the operations under way.
class AsyncClient::Exchange : public std::enable_shared_from_this<AsyncClient::Exchange> {
 public:
  Exchange(std::shared_ptr<Pool> pool, AsyncCallbacks callbacks, const AsyncLimits& limits)
      : pool_(std::move(pool)),
        limits_(limits),
        ends_(Deadline::After(limits.total).at()),
        callbacks_(std::make_shared<AsyncCallbacks>(std::move(callbacks))),
        timer_(pool_->loop()) {}

  void Begin(const Request& request) {
    StatusOr<std::string> wire =
        SerializeRequest(request, pool_->endpoint(), {.host_header = pool_->options().host_header});
    if (!wire.ok()) return FinishLater(wire.status());
    wire_ = *std::move(wire);
    idempotent_ = IsIdempotent(request.method);
    parser_ = std::make_unique<ResponseParser>(ResponseParser::Options{.head_request = request.method == "HEAD",
                                                                       .max_header = pool_->options().max_header,
                                                                       .max_body = limits_.max_body});
    socket_ = pool_->Take();
    if (socket_ == nullptr) return Connect();
    used_ = true;
    Talk();
  }
  void Cancel() {
    if (std::exchange(done_, true)) return;
    callbacks_.reset();
    timer_.cancel();
    if (socket_ != nullptr) socket_->Close();
  }
  void Pause() { paused_ = true; }
  void Resume() {
    if (!std::exchange(paused_, false)) return;
    boost::asio::post(pool_->loop(), [self = shared_from_this()] {
      if (!self->done_ && self->talking_) self->Deliver();
    });
  }

 private:
  void Connect() {
    used_ = false;
    socket_ = std::make_shared<AsyncSocket>(pool_->loop(), pool_->endpoint());
    Arm(limits_.connect, "no connection in time");
    socket_->Open(pool_->options(), [self = shared_from_this()](const Status& status) {
      if (self->done_) return;
      if (!status.ok()) return self->Finish(status);
      self->Talk();
    });
  }
  // Reads while it still writes: a server that refuses a request answers before it has read all of it.
  void Talk() {
    talking_ = true;
    Arm(limits_.send, "the request was not taken in time");
    socket_->Write(wire_, [self = shared_from_this()](const Status& status) { self->OnWritten(status); });
    Read();
  }
  void OnWritten(const Status& status) {
    // What went wrong the read will tell, or that there was an answer first.
    if (done_ || !status.ok()) return;
    written_ = true;
    if (!parser_->head_done()) Arm(limits_.head, "no answer in time");
  }
  void Read() {
    if (!talking_ || reading_ || paused_ || done_) return;
    reading_ = true;
    socket_->Read([self = shared_from_this()](const StatusOr<std::string_view>& bytes) { self->OnRead(bytes); });
  }
  void OnRead(const StatusOr<std::string_view>& bytes) {
    if (done_) return;
    reading_ = false;
    ended_ = !bytes.ok() || bytes->empty();
    const Status fed = !bytes.ok() ? bytes.status() : ended_ ? parser_->Eof() : parser_->Feed(*bytes);
    if (!fed.ok()) {
      const bool repeat = used_ && !touched_ && ended_ && idempotent_;
      if (!repeat) return Finish(fed);
      socket_->Close();
      written_ = talking_ = false;
      return Connect();
    }
    touched_ = true;
    Deliver();
  }
  void Deliver() {
    if (paused_) return;
    if (!parser_->head_done()) return Read();
    const std::shared_ptr<AsyncCallbacks> callbacks = callbacks_;  // shared: each may end the call
    if (!std::exchange(head_told_, true)) {
      Arm(Duration::max(), "the answer did not end in time");
      if (callbacks->on_head) callbacks->on_head(parser_->head());
      if (done_ || paused_) return;
    }
    const std::string body = parser_->TakeBody();
    if (!body.empty() && callbacks->on_body) callbacks->on_body(body);
    if (done_ || paused_) return;
    if (parser_->done()) return Finish(OkStatus());
    Read();
  }
  void Finish(const Status& status) {
    if (std::exchange(done_, true)) return;
    timer_.cancel();
    const std::shared_ptr<AsyncCallbacks> callbacks = std::move(callbacks_);
    if (status.ok() && written_ && !ended_ && parser_->keep_alive() && parser_->head().status != 101) {
      pool_->Keep(std::move(socket_), KeptFor(parser_->head().headers, pool_->options().idle_timeout));
    } else if (socket_ != nullptr) {
      socket_->Close();
    }
    if (callbacks->on_done) callbacks->on_done(status);
  }
  void FinishLater(const Status& status) {
    boost::asio::post(pool_->loop(), [self = shared_from_this(), status] { self->Finish(status); });
  }
  void Arm(Duration limit, const char* what) {
    const MonoTime at = std::min(Deadline::After(limit).at(), ends_);
    timer_.cancel();
    if (at == MonoTime::max()) return;
    timer_.expires_at(at);
    timer_.async_wait([self = shared_from_this(), what](const boost::system::error_code& cancelled) {
      // One that fired just before it was set anew is old news.
      if (cancelled || self->done_ || self->timer_.expiry() > std::chrono::steady_clock::now()) return;
      const Endpoint& endpoint = self->pool_->endpoint();
      self->Finish(DeadlineExceeded(endpoint.host + ":" + std::to_string(endpoint.port) + ": " + what));
    });
  }

  const std::shared_ptr<Pool> pool_;
  const AsyncLimits limits_;
  const MonoTime ends_;
  std::shared_ptr<AsyncCallbacks> callbacks_;
  boost::asio::steady_timer timer_;
  std::string wire_;
  bool idempotent_ = false;
  std::shared_ptr<AsyncSocket> socket_;
  std::unique_ptr<ResponseParser> parser_;
  bool used_ = false;     // the connection carried a request before
  bool touched_ = false;  // bytes of an answer came
  bool talking_ = false, written_ = false, reading_ = false, ended_ = false;
  bool paused_ = false, head_told_ = false, done_ = false;
};

class AsyncClient::Call final : public AsyncCall {
 public:
  explicit Call(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Call() override { exchange_->Cancel(); }
  void Pause() override { exchange_->Pause(); }
  void Resume() override { exchange_->Resume(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

AsyncClient::AsyncClient(boost::asio::io_context& loop, Endpoint endpoint, AsyncOptions options)
    : pool_(std::make_shared<Pool>(loop, std::move(endpoint), std::move(options))) {}
AsyncClient::~AsyncClient() { pool_->End(); }

std::unique_ptr<AsyncCall> AsyncClient::Send(const Request& request, AsyncCallbacks callbacks,
                                             const AsyncLimits& limits) {
  auto exchange = std::make_shared<Exchange>(pool_, std::move(callbacks), limits);
  exchange->Begin(request);
  return std::make_unique<Call>(std::move(exchange));
}

void AsyncClient::SendAndForget(const Request& request, Duration total) {
  std::make_shared<Exchange>(pool_, AsyncCallbacks{}, AsyncLimits{.total = total, .max_body = size_t{64} << 10})
      ->Begin(request);
}

}  // namespace mcpfleet::http
