#include "base/http/session.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <ctime>

#include "base/http/responder.h"
#include "base/http/response_parser.h"
#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

// Sent ahead while a request is being handled: enough to notice that the peer is there, no more.
constexpr size_t kAheadBytes = size_t{64} << 10;
// After a refusal the peer may still be sending; reading it lets it see the answer instead of a reset.
constexpr Duration kLinger = std::chrono::seconds(2);

const std::string& DateNow() {
  thread_local time_t told = 0;
  thread_local std::string text;
  if (const time_t now = time(nullptr); now != told) {
    tm utc{};
    gmtime_r(&now, &utc);
    char bytes[40];
    text.assign(bytes, strftime(bytes, sizeof bytes, "%a, %d %b %Y %H:%M:%S GMT", &utc));
    told = now;
  }
  return text;
}

std::string ChunkHead(size_t bytes) {
  char size[24];
  return std::string(size, static_cast<size_t>(snprintf(size, sizeof size, "%zx\r\n", bytes)));
}

std::string ChunkOf(std::string_view bytes) { return ChunkHead(bytes.size()).append(bytes).append("\r\n"); }

bool ConnectionHas(const Headers& headers, std::string_view item) {
  for (const auto& [name, value] : headers.fields()) {
    if (!EqualsIgnoreCase(name, "connection")) continue;
    for (const std::string& part : Split(value, ',')) {
      if (EqualsIgnoreCase(Trim(part), item)) return true;
    }
  }
  return false;
}

std::string WebSocketKey(const Request& request) {
  bool upgrade = request.method == "GET" && ConnectionHas(request.headers, "upgrade") &&
                 EqualsIgnoreCase(request.headers.Get("upgrade").value_or(""), "websocket") &&
                 request.headers.Get("sec-websocket-version") == "13";
  return upgrade ? request.headers.Get("sec-websocket-key").value_or("") : "";
}

}  // namespace

bool ServerCore::Post(std::function<void()> task) {
  MutexLock lock(&mu);
  if (stopped) return false;
  boost::asio::post(loop, std::move(task));
  return true;
}

Session::Session(std::shared_ptr<ServerCore> core, Socket socket, Peer peer)
    : core_(std::move(core)),
      peer_(std::move(peer)),
      socket_(std::move(socket)),
      read_timer_{boost::asio::steady_timer(core_->loop), &Session::OnReadTimer},
      write_timer_{boost::asio::steady_timer(core_->loop), &Session::OnWriteTimer} {}

void Session::Start() {
  core_->sessions.insert(shared_from_this());
  ArmRead(ReadTimer::kHeader, core_->options.header_timeout);
  // A unix socket is this machine's own: no TLS there.
  if (core_->identity == nullptr || peer_.address == "unix") return Read();
  tls_ = std::make_unique<TlsStream>(socket_, core_->identity->context());
  reading_ = true;
  tls_->Handshake(
      [self = shared_from_this()](const boost::system::error_code& error, size_t) { self->OnHandshake(error); });
}

// The timer goes on: the first request's head must follow within it.
void Session::OnHandshake(const boost::system::error_code& error) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (!error) return Read();
  LOG_DEBUG("tls handshake failed", {{"peer", peer_.address}, {"error", error.message()}});
  if (!tls_->met_plain_http()) return Close();
  tls_.reset();
  state_ = State::kHandling;
  WriteResponse({.method = "GET", .keep_alive = false}, TextResponse(400, "this port speaks TLS: write https://\n"));
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  std::shared_ptr<Session> self = shared_from_this();
  if (tls_ != nullptr && state_ == State::kReading) tls_->Farewell();
  state_ = State::kClosed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  read_timer_.timer.cancel();
  write_timer_.timer.cancel();
  EndOutbox();
  core_->sessions.erase(self);
  WebSocketCallbacks callbacks = std::exchange(callbacks_, {});
  if (callbacks.on_close) callbacks.on_close();
  PeerIsGone();
}

// ---- reading

void Session::Read() {
  bool wanted = state_ == State::kReading || state_ == State::kWebSocket || state_ == State::kLingering ||
                in_.size() < kAheadBytes;
  if (state_ == State::kClosed || reading_ || ended_ || !wanted) return;
  reading_ = true;
  auto done = [self = shared_from_this()](const boost::system::error_code& error, size_t n) { self->OnRead(error, n); };
  if (tls_ != nullptr) return tls_->Read(boost::asio::buffer(chunk_), std::move(done));
  socket_.async_read_some(boost::asio::buffer(chunk_), std::move(done));
}

void Session::OnRead(const boost::system::error_code& error, size_t n) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) {
    ended_ = true;
    // Half a connection may still take an answer; a broken one may not.
    if (error != boost::asio::error::eof) return Close();
    return OnEnd();
  }
  if (state_ != State::kLingering) in_.append(chunk_, n);
  if (n == sizeof chunk_) ReadMore();
  Process();
  Read();
}

// What has arrived behind a full first piece, without another turn of the loop. The end, and errors, show in the next
// turn.
void Session::ReadMore() {
  for (int i = 0; i < 4; ++i) {
    boost::system::error_code error;
    const auto buffer = boost::asio::buffer(core_->chunk);
    const size_t n = tls_ != nullptr ? tls_->ReadSome(buffer, error) : socket_.read_some(buffer, error);
    if (error) return;
    if (state_ != State::kLingering) in_.append(core_->chunk.data(), n);
    if (n < core_->chunk.size()) return;
  }
}

void Session::OnEnd() {
  switch (state_) {
    case State::kHandling:
      keep_alive_ = false;
      if (!finish_) PeerIsGone();
      return;
    case State::kReading:
      if (parser_ != nullptr) return Refuse(400);  // half a request
      [[fallthrough]];
    case State::kStreaming:
    case State::kWebSocket:
    case State::kLingering:
    case State::kClosed:
      return Close();
  }
}

void Session::Process() {
  if (state_ == State::kReading) ParseRequest();
  if (state_ == State::kWebSocket) ReadFrames();
}

void Session::ParseRequest() {
  if (in_.empty() && parser_ == nullptr) return;
  if (parser_ == nullptr) {
    parser_ = std::make_unique<RequestParser>(core_->options.max_header, core_->options.max_body);
    continue_sent_ = false;
  }
  bool had_head = parser_->head_done();
  in_.erase(0, parser_->Put(in_));
  if (parser_->error_status() != 0) return Refuse(parser_->error_status());
  if (parser_->done()) return Dispatch();
  if (purpose_ == ReadTimer::kIdle) ArmRead(ReadTimer::kHeader, core_->options.header_timeout);
  if (!parser_->head_done() && in_.size() > core_->options.max_header) return Refuse(431);
  if (parser_->head_done() && !had_head) ArmRead(ReadTimer::kBody, core_->options.body_timeout);
  if (parser_->expects_continue() && !continue_sent_) {
    continue_sent_ = true;
    Enqueue("HTTP/1.1 100 Continue\r\n\r\n", 0);
  }
}

void Session::Dispatch() {
  Exchange exchange{.http10 = parser_->http10(), .keep_alive = parser_->keep_alive()};
  Request request = parser_->Take();
  parser_.reset();
  read_timer_.due = MonoTime::max();
  state_ = State::kHandling;
  keep_alive_ = exchange.keep_alive;
  exchange.method = request.method;
  exchange.websocket_key = WebSocketKey(request);
  exchange.number = number_;
  std::shared_ptr<Responder> responder = MakeResponder(core_, shared_from_this(), std::move(exchange));
  core_->run([core = core_, request = std::move(request), responder = std::move(responder)]() mutable {
    try {
      core->handler(request, responder);
    } catch (const std::exception& e) {
      LOG_ERROR("http handler failed", {{"path", request.Path()}, {"error", e.what()}});
      responder->Send(TextResponse(500, "internal error\n"));
    }
  });
}

// Answers and gives the connection up: where a request starts behind a malformed one nobody knows.
void Session::Refuse(int status) {
  parser_.reset();
  state_ = State::kHandling;
  const auto& refusal = core_->options.refusal;
  WriteResponse({.method = "GET", .keep_alive = false},
                refusal ? refusal(status) : TextResponse(status, std::string(ReasonPhrase(status)) + "\n"));
}

// ---- answering

std::string Session::HeadText(const Exchange& exchange, const Response& response, bool close) const {
  std::string out =
      "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(ReasonPhrase(response.status)) + "\r\n";
  for (const auto& [name, value] : response.headers.fields()) {
    // A value with a line end would start a new field: left out rather than sent.
    if (!IsToken(name) || !IsFieldValue(value)) continue;
    if (EqualsIgnoreCase(name, "content-length") || EqualsIgnoreCase(name, "transfer-encoding")) continue;
    if (EqualsIgnoreCase(name, "connection") && response.status != 101) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!response.headers.Has("date")) out += "Date: " + DateNow() + "\r\n";
  if (close) {
    out += "Connection: close\r\n";
  } else if (exchange.http10) {
    out += "Connection: keep-alive\r\n";
  }
  return out;
}

void Session::WriteResponse(const Exchange& exchange, Response response) {
  if (state_ != State::kHandling) return;
  keep_alive_ = keep_alive_ && exchange.keep_alive && !ConnectionHas(response.headers, "close");
  std::string out = HeadText(exchange, response, !keep_alive_);
  bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  if (!bodiless) out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  out += "\r\n";
  if (bodiless || exchange.method == "HEAD") response.body.clear();
  // A large body is not copied behind its head.
  const bool apart = response.body.size() > kAheadBytes;
  if (!apart) out += response.body;
  finish_ = !apart;
  Enqueue(std::move(out), 0);
  if (!apart) return;
  finish_ = true;
  Enqueue(std::move(response.body), 0);
}

void Session::BeginStream(const Exchange& exchange, const Response& head, std::shared_ptr<Outbox> outbox) {
  if (state_ != State::kHandling || ended_) {
    outbox->closed = true;
    // Later: whoever begins the stream is not to hear from inside that its peer is gone.
    if (state_ == State::kHandling) core_->Post([self = shared_from_this()] { self->Close(); });
    return;
  }
  outbox_ = std::move(outbox);
  state_ = State::kStreaming;
  if (exchange.http10) keep_alive_ = false;
  std::string out = HeadText(exchange, head, !keep_alive_);
  if (!exchange.http10) out += "Transfer-Encoding: chunked\r\n";
  Enqueue(out + "\r\n", 0);
  if (exchange.method != "HEAD") return Read();  // the peer's end is news now
  outbox_->closed = true;
  finish_ = true;
}

void Session::WriteChunk(const std::shared_ptr<Outbox>& outbox, std::string bytes, bool chunked) {
  if (state_ != State::kStreaming || outbox_ != outbox || finish_) return;
  const size_t counted = bytes.size();
  if (!chunked || counted <= kAheadBytes) return Enqueue(chunked ? ChunkOf(bytes) : std::move(bytes), counted);
  Enqueue(ChunkHead(counted), 0);  // apart: a large piece is not copied
  Enqueue(std::move(bytes), counted);
  Enqueue("\r\n", 0);
}

void Session::EndStream(const std::shared_ptr<Outbox>& outbox, bool chunked) {
  if (state_ != State::kStreaming || outbox_ != outbox || finish_) return;
  finish_ = true;
  Enqueue(chunked ? "0\r\n\r\n" : "", 0);
}

void Session::WatchDrain(const std::shared_ptr<Outbox>& outbox, size_t left, std::function<void()> drained) {
  outbox->left = left;
  outbox->drained = std::move(drained);
  if (outbox_ != outbox || outbox->closed || outbox->queued <= left) TellDrained(*outbox);
}

// Later: whoever is told may be the one that writes.
void Session::TellDrained(Outbox& outbox) {
  if (auto drained = std::exchange(outbox.drained, nullptr)) core_->Post(std::move(drained));
}

void Session::EndOutbox() {
  if (outbox_ == nullptr) return;
  outbox_->closed = true;
  TellDrained(*outbox_);
}

void Session::NotifyWhenGone(const Exchange& exchange, std::function<void()> gone) {
  if (exchange.number != number_ || state_ == State::kWebSocket) return;
  gone_ = std::move(gone);
  if (state_ != State::kClosed && (!ended_ || finish_)) return;
  core_->Post([self = shared_from_this()] {
    if (!self->finish_) self->PeerIsGone();  // else it was answered since
  });
}

void Session::PeerIsGone() {
  if (const std::function<void()> gone = std::exchange(gone_, nullptr)) gone();
}

void Session::FinishResponse() {
  finish_ = false;
  ++number_;
  gone_ = nullptr;
  EndOutbox();
  outbox_.reset();
  if (!keep_alive_) return Linger();
  state_ = State::kReading;
  if (in_.empty() && ended_) return Close();
  if (in_.empty()) {
    ArmRead(ReadTimer::kIdle, core_->options.idle_timeout);
  } else {
    ArmRead(ReadTimer::kHeader, core_->options.header_timeout);
  }
  Process();  // what was sent ahead
  if (state_ == State::kReading && ended_) return Close();
  Read();
}

void Session::Linger() {
  boost::system::error_code ignored;
  if (ended_) return Close();
  state_ = State::kLingering;
  if (tls_ != nullptr) tls_->Farewell();
  socket_.shutdown(Socket::shutdown_send, ignored);
  ArmRead(ReadTimer::kLinger, kLinger);
  Read();
}

// ---- writing

void Session::Enqueue(std::string bytes, size_t counted) {
  if (state_ == State::kClosed) return;
  out_total_ += bytes.size();
  out_.push_back({std::move(bytes), counted});
  Pump();
}

void Session::Pump() {
  if (writing_ || state_ == State::kClosed) return;
  while (!out_.empty() && out_offset_ == out_.front().bytes.size()) {
    if (outbox_ != nullptr) {
      outbox_->queued -= out_.front().counted;
      if (outbox_->drained && outbox_->queued <= outbox_->left) TellDrained(*outbox_);
    }
    out_total_ -= out_.front().bytes.size();
    out_.pop_front();
    out_offset_ = 0;
  }
  if (out_.empty()) {
    write_timer_.due = MonoTime::max();
    if (finish_) FinishResponse();
    if (close_sent_) Linger();
    return;
  }
  writing_ = true;
  ArmWrite();
  const std::string& front = out_.front().bytes;
  const auto buffer = boost::asio::buffer(front.data() + out_offset_, front.size() - out_offset_);
  auto done = [self = shared_from_this()](const boost::system::error_code& error, size_t n) {
    self->OnWritten(error, n);
  };
  if (tls_ != nullptr) return tls_->Write(buffer, std::move(done));
  socket_.async_write_some(buffer, std::move(done));
}

void Session::OnWritten(const boost::system::error_code& error, size_t n) {
  writing_ = false;
  if (state_ == State::kClosed) return;
  if (error) return Close();
  out_offset_ += n;
  Pump();
}

// ---- time

void Session::Wait(Timer* timer) {
  if (timer->waiting && timer->timer.expiry() <= timer->due) return;
  timer->waiting = true;
  timer->timer.expires_at(timer->due);
  timer->timer.async_wait([self = shared_from_this(), timer](const boost::system::error_code& error) {
    if (error) return;  // closed, or waiting for an earlier time now
    timer->waiting = false;
    if (timer->due == MonoTime::max()) return;
    if (timer->due > std::chrono::steady_clock::now()) return self->Wait(timer);
    timer->due = MonoTime::max();
    ((*self).*(timer->fired))();
  });
}

void Session::ArmRead(ReadTimer purpose, Duration after) {
  purpose_ = purpose;
  read_timer_.due = std::chrono::steady_clock::now() + after;
  Wait(&read_timer_);
}

void Session::OnReadTimer() {
  if (state_ == State::kLingering) return Close();
  if (state_ == State::kReading) {
    if (purpose_ == ReadTimer::kIdle || (parser_ == nullptr && in_.empty())) return Close();
    return Refuse(408);
  }
  if (state_ != State::kWebSocket) return;
  if (ping_sent_) return Close();
  ping_sent_ = true;
  Enqueue(EncodeWebSocketFrame(WebSocketOpcode::kPing, "", ""), 0);
  ArmRead(ReadTimer::kPing, core_->options.idle_timeout / 2);
}

// No byte taken for that long: the reader is stuck, not slow.
void Session::ArmWrite() {
  write_timer_.due = std::chrono::steady_clock::now() + core_->options.body_timeout;
  Wait(&write_timer_);
}

void Session::OnWriteTimer() {
  if (writing_) Close();
}

// ---- WebSocket

void Session::AnswerWebSocket(const Exchange& exchange, const std::shared_ptr<Outbox>& outbox,
                              const WebSocketCallbacks& callbacks) {
  if (state_ != State::kHandling || ended_) return;
  outbox_ = outbox;
  callbacks_ = callbacks;
  state_ = State::kWebSocket;
  gone_ = nullptr;
  frames_.emplace(true, core_->options.max_body);
  Response head{.status = 101};
  head.headers.Add("Upgrade", "websocket");
  head.headers.Add("Connection", "Upgrade");
  head.headers.Add("Sec-WebSocket-Accept", WebSocketAcceptKey(exchange.websocket_key));
  if (!callbacks_.protocol.empty()) head.headers.Add("Sec-WebSocket-Protocol", callbacks_.protocol);
  Enqueue(HeadText({}, head, false) + "\r\n", 0);
}

void Session::BeginWebSocket(const std::shared_ptr<Outbox>& outbox, const WebSocketCallbacks& callbacks) {
  if (outbox_ != outbox) {
    if (outbox->closed) return;  // it was answered, and has ended
    outbox->closed = true;
    if (callbacks.on_close) callbacks.on_close();
    if (state_ == State::kHandling) Close();
    return;
  }
  if (state_ != State::kWebSocket) return;
  ArmRead(ReadTimer::kPing, core_->options.idle_timeout / 2);
  Process();
  Read();
}

void Session::ReadFrames() {
  if (in_.empty()) return;
  frames_->Feed(std::exchange(in_, {}));
  ping_sent_ = false;
  ArmRead(ReadTimer::kPing, core_->options.idle_timeout / 2);
  while (state_ == State::kWebSocket && !close_sent_) {
    StatusOr<std::optional<WebSocketMessage>> message = frames_->Next();
    if (!message.ok()) {
      return CloseWebSocket(outbox_, message.status().code() == StatusCode::kResourceExhausted ? 1009 : 1002);
    }
    if (!message->has_value()) return;
    switch ((*message)->kind) {
      case WebSocketMessage::Kind::kText:
        if (callbacks_.on_text) callbacks_.on_text((*message)->payload);
        break;
      case WebSocketMessage::Kind::kBinary:
        return CloseWebSocket(outbox_, 1003);
      case WebSocketMessage::Kind::kPing:
        // Pongs for somebody who does not read them must not pile up.
        if (out_total_ > core_->options.max_queued) return Close();
        Enqueue(EncodeWebSocketFrame(WebSocketOpcode::kPong, (*message)->payload, ""), 0);
        break;
      case WebSocketMessage::Kind::kPong:
        break;
      case WebSocketMessage::Kind::kClose:
        return CloseWebSocket(outbox_, (*message)->close_code == 1005 ? 1000 : (*message)->close_code);
    }
  }
}

void Session::SendFrame(const std::shared_ptr<Outbox>& outbox, std::string frame, size_t counted) {
  if (state_ == State::kWebSocket && outbox_ == outbox && !close_sent_) Enqueue(std::move(frame), counted);
}

void Session::CloseWebSocket(const std::shared_ptr<Outbox>& outbox, int code) {
  if (state_ != State::kWebSocket || outbox_ != outbox || close_sent_) return;
  outbox_->closed = true;
  close_sent_ = true;
  Enqueue(EncodeWebSocketClose(code, ""), 0);
}

}  // namespace mcpfleet::http
