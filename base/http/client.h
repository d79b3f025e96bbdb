// A blocking HTTP/1.1 client over a unix socket or TCP, for engines, mcplet's admin socket and MCP servers on this
// machine. (Cloudflare's REST API goes through cpprestsdk in store/kv_client.)
//
//   Client client(UnixEndpoint("/run/docker.sock"), {});
//   StatusOr<Response> response = client.Do({.method = "GET", .target = "/_ping"}, Deadline::After(5s));
//
// Thread-safe: each call takes a kept connection or opens one; at most `max_idle` are kept. An idempotent request on a
// kept connection that turns out closed before any byte of the answer is repeated once on a new one. No redirects.
// Errors: Unavailable (refused, reset, closed), DeadlineExceeded, ResourceExhausted (larger than the limit),
// InvalidArgument (not HTTP). A status code is not an error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/http/message.h"
#include "base/status.h"

namespace mcpfleet::http {

struct Endpoint {
  std::string unix_path;  // when set, the rest is not used
  std::string host;       // a name or an address
  uint16_t port = 0;
  bool tls = false;  // verifies against the system's certificates, or ClientOptions::ca_file
};
inline Endpoint UnixEndpoint(std::string path) { return {.unix_path = std::move(path)}; }
inline Endpoint TcpEndpoint(std::string host, uint16_t port) { return {.host = std::move(host), .port = port}; }

struct ClientOptions {
  size_t max_body = size_t{32} << 20;
  size_t max_header = size_t{32} << 10;
  size_t max_idle = 8;
  std::string host_header;  // default: "localhost" for unix sockets, host:port otherwise
  std::string ca_file;      // PEM: with TLS, trusted instead of the system's certificates
  // With a host: an HTTP proxy, which is asked by CONNECT for a tunnel to the endpoint. Not over TLS itself.
  Endpoint proxy;
  std::string proxy_authorization;  // value of the header for the proxy, "" for none
  // Makes the connected socket instead of the default; used to connect inside another network namespace.
  std::function<StatusOr<UniqueFd>(Deadline)> connect;
};

// A response whose body arrives while it is read. Destroying it closes the connection unless the body was read to its
// end.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  virtual const Response& head() const = 0;  // body empty
  // The next piece (at most 64 KiB), "" at the end of the body.
  virtual StatusOr<std::string> Read(Deadline deadline) = 0;
  // Makes a Read that waits in another thread return Cancelled, now and from then on. Thread-safe.
  virtual void Cancel() = 0;
};

// A connection after 101 Switching Protocols, and the bytes that had already been read behind the head.
struct Upgraded {
  UniqueFd fd;  // non-blocking
  std::string leftover;
};

class Client {
 public:
  Client(Endpoint endpoint, ClientOptions options);
  ~Client();
  StatusOr<Response> Do(const Request& request, Deadline deadline);
  StatusOr<std::unique_ptr<ResponseStream>> Open(const Request& request, Deadline deadline);
  // Sends `request` with its Upgrade header; an answer other than 101 is an error that carries status and body's start.
  StatusOr<Upgraded> Upgrade(const Request& request, Deadline deadline);

 private:
  class Pool;
  std::shared_ptr<Pool> pool_;
};

}  // namespace mcpfleet::http
