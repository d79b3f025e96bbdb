#include "bench/gateway/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace mcpfleet::bench {
namespace {

constexpr size_t kRead = size_t{256} << 10;
char bytes[kRead];

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
Poller::~Poller() { close(epoll_); }

void Poller::Add(int fd, Client* client) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = client;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Poller::Wait(int timeout_ms) const {
  std::array<epoll_event, 128> events;
  const int count = epoll_wait(epoll_, events.data(), events.size(), timeout_ms);
  for (int i = 0; i < count; ++i) static_cast<Client*>(events[static_cast<size_t>(i)].data.ptr)->OnReadable();
}

bool Client::Connect() {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint_.port);
  inet_pton(AF_INET, endpoint_.host.c_str(), &address.sin_addr);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    Close();
    return false;
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  poller_.Add(fd_, this);
  return true;
}

bool Client::Send(std::string_view request) {
  if (fd_ < 0 && !Connect()) return false;
  answer_.Clear();
  // Requests are smaller than the socket's buffer, so a short write is an error.
  waits_ = send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
  if (!waits_) Close();
  return waits_;
}

void Client::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  waits_ = false;
}

void Client::OnEof() {
  answer_.End();
  const bool owed = waits_;
  Close();
  if (owed) (answer_.complete() ? events_.on_end : events_.on_failed)();
}

void Client::OnReadable() {
  if (fd_ < 0) return;
  const ssize_t n = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n <= 0) return OnEof();
  const bool had_head = answer_.has_head();
  answer_.Feed(std::string_view(bytes, static_cast<size_t>(n)));
  if (answer_.broken() || !waits_) {
    const bool owed = waits_;
    Close();
    return owed ? events_.on_failed() : void();
  }
  if (!had_head && answer_.has_head() && answer_.stream() && events_.on_head) events_.on_head();
  while (const auto message = answer_.Next()) events_.on_message(*message);
  if (!answer_.complete()) return;
  waits_ = false;
  if (answer_.closes()) Close();
  events_.on_end();
}

}  // namespace mcpfleet::bench
