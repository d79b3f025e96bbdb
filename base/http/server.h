// An HTTP/1.1 server on one event loop (Asio, callbacks): the embedded store, the admin API, later the gateway.
// Idle connections cost no thread.
//
//   Server::Options options{.address = "127.0.0.1", .port = 0};
//   ASSIGN_OR_RETURN(auto server, Server::Create(options, [](const Request& request, std::shared_ptr<Responder> to) {
//     to->Send(TextResponse(200, "ok\n"));
//   }));
//
// The handler runs on the loop's thread when `worker_threads` is 0, else on a worker (so it may block). It, or whoever
// it hands the Responder to, must call Send, StartStream or AcceptWebSocket once; a Responder dropped unanswered
// answers 500. Limits and timeouts answer 400, 408, 413, 431 by themselves and never reach the handler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http/message.h"
#include "base/status.h"

namespace boost::asio {
class io_context;
}

namespace mcpfleet::http {

// Who asks, as far as the socket tells.
struct Peer {
  std::string address;  // "127.0.0.1:51234", or "unix"
  int pid = 0;          // unix sockets only: SO_PEERCRED
  int uid = -1;
};

// A chunked response (or server-sent events) under way. Thread-safe; cheap to hold.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;  // ends the stream
  // False once the peer is gone or more than the limit is queued: stop producing.
  virtual bool Write(std::string_view bytes) = 0;
  // The same without a copy.
  virtual bool Give(std::string bytes) { return Write(bytes); }  // NOLINT(performance-unnecessary-value-param): to move
  virtual void End() = 0;
  virtual bool closed() const = 0;
  // Bytes that the peer's system has not taken yet.
  virtual size_t queued() const = 0;
  // `drained` is called once, on the loop, when no more than `left` are queued or nothing will be sent any more. One at
  // a time.
  virtual void OnDrained(size_t left, std::function<void()> drained) = 0;
};

// Thread-safe. Callbacks run on the loop's thread.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  virtual bool SendText(std::string_view text) = 0;  // false when closed
  virtual void Close(int code) = 0;
};
struct WebSocketCallbacks {
  std::function<void(std::string_view)> on_text;
  std::function<void()> on_close;  // once; drop the WebSocket here
  std::string protocol;            // of those that the client offered: which is spoken; "": none
};

class Responder {
 public:
  virtual ~Responder() = default;
  virtual const Peer& peer() const = 0;
  virtual void Send(Response response) = 0;
  virtual std::shared_ptr<StreamWriter> StartStream(Response head) = 0;
  // Valid for a request with the WebSocket upgrade headers only; null otherwise (and answers 426).
  virtual std::shared_ptr<WebSocket> AcceptWebSocket(WebSocketCallbacks callbacks) = 0;
  // `gone` is called at most once, on the loop, when the connection breaks or ends before the answer or the stream is
  // complete: nobody waits for it any more. A peer that closes its half while the request is handled counts as gone,
  // though an answer is still written to it. Not called for what became a WebSocket (see on_close), nor after the
  // server has ended. `gone` must not hold the Responder, or one dropped unanswered would never be noticed.
  virtual void OnGone(std::function<void()> gone) = 0;
};

// PEM files: the certificate, followed by what signed it, and its key without a passphrase.
struct TlsFiles {
  std::string cert_file, key_file;
  std::string setting;  // before the field in messages: "spec.gateway.tls."
  bool empty() const { return cert_file.empty() && key_file.empty(); }
};

class Server {
 public:
  struct Options {
    std::string address = "127.0.0.1";
    uint16_t port = 0;      // 0: the system's choice, see port()
    std::string unix_path;  // when set, a unix socket instead; replaces a stale file
    int unix_mode = 0600;
    // A second listener beside the address: a unix socket, plain HTTP also where `tls` is set. Its peers are "unix".
    std::string unix_beside;
    int unix_beside_mode = 0600;
    int worker_threads = 0;
    size_t max_connections = 512;
    size_t max_header = size_t{32} << 10;
    size_t max_body = size_t{4} << 20;
    size_t max_queued = size_t{8} << 20;  // per stream or socket; a slower reader is disconnected
    Duration header_timeout = std::chrono::seconds(15);
    Duration body_timeout = std::chrono::seconds(60);
    Duration idle_timeout = std::chrono::seconds(120);
    std::function<Response(int status)> refusal;  // what those limits and timeouts answer; default: the phrase as text
    // When set, TLS 1.2 or newer; the handshake is part of header_timeout. The files are looked at again and again: new
    // ones are for new connections, and those that can't be used change nothing.
    TlsFiles tls;
    Duration tls_look = std::chrono::seconds(2);
    // On the loop's thread: what was read, first at the start. When the certificate expires; or why the new pair is not
    // used.
    std::function<void(const StatusOr<WallTime>& expires)> on_certificate;
  };
  using Handler = std::function<void(Request&, std::shared_ptr<Responder>)>;  // the request is the handler's to take

  // Listening when it returns. InvalidArgument: an address, a path or a file of `tls` can't be used.
  static StatusOr<std::unique_ptr<Server>> Create(Options options, Handler handler);
  virtual ~Server() = default;  // closes every connection, joins its threads
  virtual uint16_t port() const = 0;
  // Runs `task` on the loop's thread, in the order of the posts. Any thread. Dropped once the server has ended.
  virtual void Post(std::function<void()> task) = 0;
  // The same at `when` or soon after; tasks for one instant run in the order they were given.
  virtual void PostAt(MonoTime when, std::function<void()> task) = 0;
  // The loop, for other sockets on it. The destructor waits for the loop to run out of work: what uses the loop must
  // be closed, on the loop, before the server is destroyed.
  virtual boost::asio::io_context& context() = 0;
};

}  // namespace mcpfleet::http
