// One client of Streamable HTTP: a keep-alive connection and the request under way on it. It connects when it has
// something to say and has no connection. Many of them share a Poller, on one thread.
//
// on_end and on_failed may send the next request, the other callbacks may not. A client must not be destroyed from its
// own callback.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "bench/gateway/http_answer.h"
#include "bench/gateway/wire.h"

namespace mcpfleet::bench {

using SteadyTime = std::chrono::steady_clock::time_point;

class Client;

class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  void Add(int fd, Client* client) const;
  // Handles what arrives within `timeout_ms`; -1: waits for something.
  void Wait(int timeout_ms) const;

 private:
  int epoll_;
};

class Client {
 public:
  struct Events {
    std::function<void(std::string_view message)> on_message;  // a JSON-RPC message of the answer
    std::function<void()> on_head;                             // a stream has begun
    std::function<void()> on_end;                              // the answer is complete
    std::function<void()> on_failed;                           // no answer, or half of one
  };

  Client(const Poller& poller, const Endpoint& endpoint) : poller_(poller), endpoint_(endpoint) {}
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void SetEvents(Events events) { events_ = std::move(events); }
  // A whole request. Its end is a callback; false: it could not be sent, and there is none.
  bool Send(std::string_view request);
  void Close();
  const HttpAnswer& answer() const { return answer_; }
  bool waits() const { return waits_; }

 private:
  friend class Poller;
  bool Connect();
  void OnReadable();
  void OnEof();

  const Poller& poller_;
  const Endpoint& endpoint_;
  Events events_;
  int fd_ = -1;
  bool waits_ = false;  // an answer is owed
  HttpAnswer answer_;
};

}  // namespace mcpfleet::bench
