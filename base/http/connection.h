// One client connection, unix, TCP or TLS: non-blocking underneath, blocking calls with deadlines on top. Used by
// Client and WebSocketClient.
//
// One thread at a time, but Cancel may come from any. Errors: Unavailable (refused, reset, no socket, no such host),
// DeadlineExceeded, Cancelled, Unauthenticated (the certificate is not for this host or not trusted), InvalidArgument
// (a file of certificates that can't be used).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet::http {

class Connection {
 public:
  // A name is resolved by the system's resolver, which has its own time-out; addresses and "localhost" take no time.
  static StatusOr<std::unique_ptr<Connection>> Open(const Endpoint& endpoint, const ClientOptions& options,
                                                    Deadline deadline);
  ~Connection();

  // At most 16 KiB; "" when the peer has closed. `wake`: a descriptor that, once readable, ends the wait for bytes as
  // the deadline does; -1: none.
  StatusOr<std::string> Read(Deadline deadline, int wake = -1);
  Status Write(std::string_view bytes, Deadline deadline);
  // Makes Read and Write return Cancelled, now and from then on.
  void Cancel();
  // A kept connection that has something to read has been closed by its server, or is out of step. False once
  // cancelled.
  bool LooksIdle() const;
  // For what speaks another protocol from here on; not with TLS.
  StatusOr<UniqueFd> TakeFd();

 private:
  class Tls;
  explicit Connection(UniqueFd fd);
  Status Tunnel(const Endpoint& endpoint, const ClientOptions& options, Deadline deadline);
  Status StartTls(const std::string& host, const std::string& ca_file, Deadline deadline);
  Status Wait(short events, Deadline deadline, short* ready = nullptr, int wake = -1);
  StatusOr<std::string> ReadSocket(Deadline deadline);
  Status WriteSocket(std::string_view bytes, Deadline deadline);

  UniqueFd fd_;
  UniqueFd cancel_;  // an eventfd; readable from Cancel on
  int wake_ = -1;    // of the Read under way: nothing is lost when that ends between two records
  std::unique_ptr<Tls> tls_;
};

// The request line and header fields of `request`, with Host and Content-Length where they are missing.
// InvalidArgument for what could break the message's framing.
StatusOr<std::string> SerializeRequest(const Request& request, const Endpoint& endpoint, const ClientOptions& options);

}  // namespace mcpfleet::http
