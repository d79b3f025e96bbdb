// Helpers of the HTTP tests: a server on a port of the system's choice, raw sockets, waiting for a condition.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/http/server.h"
#include "base/http/websocket_client.h"

namespace mcpfleet::http {

using namespace std::chrono_literals;

inline Deadline Soon() { return Deadline::After(10s); }

inline std::unique_ptr<Server> MustServe(Server::Options options, Server::Handler handler) {
  StatusOr<std::unique_ptr<Server>> server = Server::Create(std::move(options), std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

// True once `condition` holds; false after ten seconds.
inline bool Eventually(const std::function<bool()>& condition) {
  Deadline deadline = Soon();
  while (!condition()) {
    if (deadline.Expired()) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

// A connected TCP socket that speaks whatever bytes the test wants.
class RawSocket {
 public:
  explicit RawSocket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  explicit RawSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  void Send(std::string_view bytes) { send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void FinishSending() { shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }
  int fd() const { return fd_.get(); }
  // Everything up to and including `end`; "" as `end` reads until the peer closes.
  std::string ReadUntil(std::string_view end) {
    while (end.empty() || received_.find(end) == std::string::npos) {
      char buffer[4096];
      if (!PollFd(fd_.get(), POLLIN, Soon()).ok()) return received_ + "<timed out>";
      ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return std::exchange(received_, {}) + (end.empty() ? "" : "<closed>");
      received_.append(buffer, static_cast<size_t>(n));
    }
    size_t size = received_.find(end) + end.size();
    std::string out = received_.substr(0, size);
    received_.erase(0, size);
    return out;
  }

 private:
  UniqueFd fd_;
  std::string received_;
};

// A listening socket for a "server" that the test plays itself.
class RawListener {
 public:
  RawListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_.get(), 16), 0);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  uint16_t port() const { return port_; }
  int fd() const { return fd_.get(); }
  RawSocket Accept() {
    const bool came = PollFd(fd_.get(), POLLIN, Soon()).ok();
    EXPECT_TRUE(came) << "nobody connects";
    return RawSocket(UniqueFd(came ? accept(fd_.get(), nullptr, nullptr) : -1));
  }

 private:
  UniqueFd fd_;
  uint16_t port_ = 0;
};

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/mcpfleet-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempDir() { (void)RemoveTree(path_); }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Answers with method, target and body.
inline void Echo(const Request& request, const std::shared_ptr<Responder>& to) {
  to->Send(TextResponse(200, request.method + " " + request.target + " " + request.body));
}

}  // namespace mcpfleet::http
