// A store that the test plays: HTTP answers of the test's choice, and /v1/watch with mcpfleet.v1 or without. It answers
// `ping`, keeps what it hears, and says what it is told to. One thread for each connection.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/http/websocket_frames.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "tests/base/http_testing.h"

namespace mcpfleet::testing {

struct PlayedRequest {
  std::string method, target, head, body;
  // Of a header field, "" when it is absent. `name` as it is written.
  std::string Field(const std::string& name) const {
    const std::string start = "\r\n" + name + ":";
    const size_t at = head.find(start);
    if (at == std::string::npos) return "";
    return std::string(Trim(head.substr(at + start.size(), head.find("\r\n", at + 2) - at - start.size())));
  }
};

struct PlayedAnswer {
  int status = 200;
  std::string body;
  std::vector<std::string> fields{};  // "ETag: \"1\""
  bool keep = true;                   // the connection stays open
  bool hang_up = false;               // no answer at all: the connection ends
};

inline std::string EnvelopeOf(const std::string& result) {
  return R"({"result":)" + result + R"(,"success":true,"errors":[],"messages":[]})";
}

class PlayedWorker {
 public:
  struct Options {
    bool typed = true;                                                   // speaks mcpfleet.v1
    bool pongs = true;                                                   // answers "ping"
    std::vector<std::string> greeting{};                                 // what each socket is told first
    std::string token{};                                                 // 401 without; "": anybody
    std::function<PlayedAnswer(const PlayedRequest&)> answer = nullptr;  // null: 404, no such key
  };
  explicit PlayedWorker(Options options) : options_(std::move(options)), token_(options_.token) {
    signal(SIGPIPE, SIG_IGN);  // as each of our programs does: the other end may be gone
    thread_ = std::thread([this] { Accept(); });
  }
  ~PlayedWorker() {
    stop_ = true;
    shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    for (std::thread& thread : threads_) thread.join();
  }

  uint16_t port() const { return listener_.port(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }

  void SetToken(const std::string& token) {
    MutexLock lock(&mu_);
    token_ = token;
  }
  // To every socket.
  void Say(const std::string& text) {
    const std::string frame = http::EncodeWebSocketFrame(http::WebSocketOpcode::kText, text, "");
    MutexLock lock(&mu_);
    for (int fd : sockets_) (void)WriteAll(fd, frame, http::Soon());
  }
  // Ends every socket.
  void Drop() {
    MutexLock lock(&mu_);
    for (int fd : sockets_) shutdown(fd, SHUT_RDWR);
  }
  // What came over sockets, but pings.
  std::vector<std::string> heard() const {
    MutexLock lock(&mu_);
    return heard_;
  }
  std::vector<PlayedRequest> upgrades() const {
    MutexLock lock(&mu_);
    return upgrades_;
  }
  // All others, also those without the right token.
  std::vector<PlayedRequest> requests() const {
    MutexLock lock(&mu_);
    return requests_;
  }
  int pings() const { return pings_; }
  int accepted() const { return accepted_; }
  // Sockets do not read from now on.
  void StopReading() { deaf_ = true; }

 private:
  void Accept() {
    for (;;) {
      UniqueFd fd(accept(listener_.fd(), nullptr, nullptr));
      if (!fd.valid()) return;
      ++accepted_;
      threads_.emplace_back([this, fd = std::move(fd)]() mutable { Serve(fd.get()); });
    }
  }

  // More bytes; false when there are none any more.
  bool Read(int fd, std::string* into) const {
    while (!stop_) {
      pollfd p{fd, POLLIN, 0};
      if (deaf_ || poll(&p, 1, 20) <= 0) {
        if (deaf_) poll(nullptr, 0, 20);
        continue;
      }
      char buffer[65536];
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      into->append(buffer, static_cast<size_t>(n));
      return true;
    }
    return false;
  }

  void Serve(int fd) {
    for (std::string bytes; !stop_;) {
      PlayedRequest request;
      size_t end = 0;
      while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
        if (!Read(fd, &bytes)) return;
      }
      request.head = bytes.substr(0, end + 2);
      bytes.erase(0, end + 4);
      request.method = request.head.substr(0, request.head.find(' '));
      const size_t target = request.method.size() + 1;
      request.target = request.head.substr(target, request.head.find(' ', target) - target);
      const std::string length = request.Field("Content-Length");
      const size_t size = length.empty() ? 0 : std::stoul(length);
      while (bytes.size() < size) {
        if (!Read(fd, &bytes)) return;
      }
      request.body = bytes.substr(0, size);
      bytes.erase(0, size);
      const bool upgrade = request.target == "/v1/watch";
      bool allowed = false;
      {
        MutexLock lock(&mu_);
        (upgrade ? upgrades_ : requests_).push_back(request);
        allowed = token_.empty() || request.Field("Authorization") == "Bearer " + token_;
      }
      if (upgrade && allowed) return Socket(fd, request, std::move(bytes));
      PlayedAnswer answer{.status = 401,
                          .body = R"({"result":null,"success":false,"errors":[{"code":10000,"message":"no"}]})"};
      if (allowed) {
        answer = options_.answer ? options_.answer(request)
                                 : PlayedAnswer{.status = 404,
                                                .body = R"({"result":null,"success":false,"errors":[{"code":10009}]})"};
      }
      if (answer.hang_up) return;
      std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " x\r\n";
      for (const std::string& field : answer.fields) text += field + "\r\n";
      if (answer.status != 304) text += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
      (void)WriteAll(fd, text + "\r\n" + answer.body, http::Soon());
      if (!answer.keep) return;
    }
  }

  void Socket(int fd, const PlayedRequest& request, std::string bytes) {
    std::string answer = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                         http::WebSocketAcceptKey(request.Field("Sec-WebSocket-Key")) + "\r\n";
    if (options_.typed) answer += "Sec-WebSocket-Protocol: mcpfleet.v1\r\n";
    {
      MutexLock lock(&mu_);  // who has heard the greeting hears also what is said next
      (void)WriteAll(fd, answer + "\r\n", http::Soon());
      for (const std::string& text : options_.greeting) {
        (void)WriteAll(fd, http::EncodeWebSocketFrame(http::WebSocketOpcode::kText, text, ""), http::Soon());
      }
      sockets_.push_back(fd);
    }
    http::WebSocketReader reader(true, size_t{2} << 20);
    reader.Feed(bytes);
    for (;;) {
      auto message = reader.Next();
      if (!message.ok()) break;
      if (!message->has_value()) {
        std::string more;
        if (!Read(fd, &more)) break;
        reader.Feed(more);
        continue;
      }
      if ((*message)->kind == http::WebSocketMessage::Kind::kClose) break;
      if ((*message)->kind != http::WebSocketMessage::Kind::kText) continue;
      MutexLock lock(&mu_);
      if ((*message)->payload != "ping") {
        heard_.push_back((*message)->payload);
        continue;
      }
      ++pings_;
      if (options_.pongs) {
        (void)WriteAll(fd, http::EncodeWebSocketFrame(http::WebSocketOpcode::kText, "pong", ""), http::Soon());
      }
    }
    MutexLock lock(&mu_);
    std::erase(sockets_, fd);
  }

  const Options options_;
  http::RawListener listener_;
  std::atomic<bool> stop_{false}, deaf_{false};
  std::atomic<int> pings_{0}, accepted_{0};
  mutable Mutex mu_;
  std::string token_ GUARDED_BY(mu_);
  std::vector<int> sockets_ GUARDED_BY(mu_);
  std::vector<std::string> heard_ GUARDED_BY(mu_);
  std::vector<PlayedRequest> upgrades_ GUARDED_BY(mu_), requests_ GUARDED_BY(mu_);
  std::vector<std::thread> threads_;  // of the accepting thread, until it has ended
  std::thread thread_;
};

}  // namespace mcpfleet::testing
