// A non-blocking HTTP/1.1 client of one origin on an event loop (Asio, callbacks), for what has many requests under way
// at once: the gateway's upstreams. (Client is the blocking one.)
//
//   AsyncClient client(server.context(), TcpEndpoint("127.0.0.1", 8080), {});
//   std::unique_ptr<AsyncCall> call = client.Send({.method = "GET", .target = "/"},
//       {.on_head = [](const Response& head) {…}, .on_body = [](std::string_view bytes) {…},
//        .on_done = [](const Status& why) {…}});
//
// On the loop's thread only. Callbacks come from the loop, never from inside a call of ours; any of them may destroy
// the AsyncCall, and none comes after that. Connections are used again (HTTP keep-alive). An idempotent request on a
// used connection that turns out closed before any byte of the answer is repeated once on a new one; a POST is not,
// the server may have acted on it. No redirects. Peers that vanish without a word are noticed within a minute.
// Errors: Unavailable (refused, reset, closed), DeadlineExceeded, Unauthenticated (the certificate), ResourceExhausted
// (larger than a limit), InvalidArgument (not HTTP, or a request that can't be sent). A status code is not an error.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/http/message.h"
#include "base/status.h"

namespace boost::asio {
class io_context;
}

namespace mcpfleet::http {

struct AsyncOptions {
  size_t max_header = size_t{32} << 10;
  size_t max_idle = 8;  // kept connections
  // How long they are kept; less where the server says so ("Keep-Alive: timeout=5").
  Duration idle_timeout = std::chrono::seconds(60);
  std::string host_header;  // default: host:port
  std::string ca_file;      // PEM: with TLS, trusted instead of the system's certificates
  // Makes the socket instead of the default, connected or with the connect under way (non-blocking): for sockets of
  // another network namespace. Called on the loop, so it must not wait.
  std::function<StatusOr<UniqueFd>()> connect;
};

struct AsyncLimits {
  Duration connect = std::chrono::seconds(10);  // name, socket and TLS
  Duration send = std::chrono::seconds(60);     // the whole request
  Duration head = Duration::max();              // from the request to the answer's head
  Duration total = Duration::max();
  size_t max_body = SIZE_MAX;  // of the answer
};

struct AsyncCallbacks {
  std::function<void(const Response& head)> on_head;  // body empty
  std::function<void(std::string_view bytes)> on_body;
  std::function<void(const Status& why)> on_done;  // once, last; OK: the answer is complete
};

// A request under way. Destroying it before on_done closes its connection.
class AsyncCall {
 public:
  virtual ~AsyncCall() = default;
  // No callback until Resume; the peer is held up once the socket's buffers are full.
  virtual void Pause() = 0;
  virtual void Resume() = 0;
};

class AsyncClient {
 public:
  // loop: outlives us.
  AsyncClient(boost::asio::io_context& loop, Endpoint endpoint, AsyncOptions options);
  ~AsyncClient();  // closes the kept connections; calls under way go on
  std::unique_ptr<AsyncCall> Send(const Request& request, AsyncCallbacks callbacks, const AsyncLimits& limits = {});
  // A request whose answer nobody waits for; gives up after `total`.
  void SendAndForget(const Request& request, Duration total);

 private:
  class Pool;
  class Exchange;
  class Call;
  std::shared_ptr<Pool> pool_;  // shared with the exchanges under way, which give their connections back
};

}  // namespace mcpfleet::http
