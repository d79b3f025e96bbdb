// A blocking WebSocket client: the store's change signal, and tests.
//
//   ASSIGN_OR_RETURN(auto socket, WebSocketClient::Connect(TcpEndpoint("127.0.0.1", port), "/watch", {},
//   Deadline::After(5s))); StatusOr<std::string> text = socket->ReadText(Deadline::After(60s));
//
// One thread at a time for everything but Cancel. Pings are answered while reading. Errors of ReadText: Unavailable
// (closed or reset; reconnect), DeadlineExceeded (still connected: read again), Cancelled, InvalidArgument and
// ResourceExhausted (the peer broke the protocol or the limit; the connection is of no use any more).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/http/message.h"
#include "base/status.h"

namespace mcpfleet::http {

class WebSocketClient {
 public:
  struct Options {
    size_t max_message = size_t{1} << 20;
    std::string subprotocol;  // asked for when not empty; a server may do without
    ClientOptions client;     // connect hook, host header, header limit
  };
  static StatusOr<std::unique_ptr<WebSocketClient>> Connect(const Endpoint& endpoint, std::string_view target,
                                                            const Headers& headers, Deadline deadline);
  static StatusOr<std::unique_ptr<WebSocketClient>> Connect(const Endpoint& endpoint, std::string_view target,
                                                            const Headers& headers, Deadline deadline,
                                                            const Options& options);
  virtual ~WebSocketClient() = default;
  // `wake`: a descriptor that, once readable, ends the wait as the deadline does; -1: none. It stays readable.
  virtual StatusOr<std::string> ReadText(Deadline deadline, int wake = -1) = 0;
  virtual Status SendText(std::string_view text, Deadline deadline) = 0;
  // Tells whether the peer is alive: its pong arrives within ReadText and is swallowed there.
  virtual Status Ping(Deadline deadline) = 0;
  // The subprotocol that was agreed on; "" without one.
  virtual const std::string& subprotocol() const = 0;
  // Says goodbye and does not wait for the answer.
  virtual void Close(int code) = 0;
  // Makes a waiting or later call return Cancelled. Thread-safe.
  virtual void Cancel() = 0;
};

}  // namespace mcpfleet::http
