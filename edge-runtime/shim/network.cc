#include "edge-runtime/shim/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace mcpfleet {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

StatusOr<Address> ParseAddress(const std::string& host, int port) {
  Address address;
  if (port < 1 || port > 65535) return InvalidArgument("port " + std::to_string(port) + ": not a port");
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof *v6;
    return address;
  }
  return InvalidArgument(host + ": not an IP address");
}

std::string NameOf(int pid, const std::string& host, int port) {
  return "connect to " + host + ":" + std::to_string(port) + " of process " + std::to_string(pid);
}

// A socket belongs to the namespace in which it was made, so only this needs to be done inside.
StatusOr<UniqueFd> SocketIn(int space, int family) {
  StatusOr<UniqueFd> result = Internal("network namespace");
  std::thread thread([&] {
    if (setns(space, CLONE_NEWNET) != 0) {
      result = ErrnoStatus(errno, "network namespace");
      return;
    }
    UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) {
      result = ErrnoStatus(errno, "socket");
      return;
    }
    result = std::move(fd);
  });
  thread.join();
  return result;
}

}  // namespace

StatusOr<UniqueFd> BeginConnectInNamespace(int pid, const std::string& host, int port) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(host, port));
  const std::string what = NameOf(pid, host, port);
  UniqueFd space(open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  if (!space.valid()) return ErrnoStatus(errno, what);
  ASSIGN_OR_RETURN(UniqueFd fd, SocketIn(space.get(), address.storage.ss_family));
  int one = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), address.size) != 0 && errno != EINPROGRESS)
    return ErrnoStatus(errno, what);
  return fd;
}

StatusOr<UniqueFd> ConnectInNamespace(int pid, const std::string& host, int port, Deadline deadline) {
  ASSIGN_OR_RETURN(UniqueFd fd, BeginConnectInNamespace(pid, host, port));
  const std::string what = NameOf(pid, host, port);
  RETURN_IF_ERROR(Annotate(PollFd(fd.get(), POLLOUT, deadline), what));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return ErrnoStatus(error, what);
  return fd;
}

}  // namespace mcpfleet
