#include "edge-runtime/shim/init/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mcpfleet::shim {
namespace {

constexpr uint64_t kRetryNs = 100'000'000, kSlowRetryNs = 1'000'000'000, kSlowAfterNs = 60'000'000'000;

struct PeerCredentials {  // struct ucred, which needs _GNU_SOURCE by another name in some libcs
  pid_t pid;
  uid_t uid;
  gid_t gid;
};

}  // namespace

bool Link::Connect(uint64_t now) {
  if (fd_ >= 0 || now < retry_at_ns_) return false;
  if (alone_since_ns_ == 0) alone_since_ns_ = now;
  retry_at_ns_ = now + (now - alone_since_ns_ > kSlowAfterNs ? kSlowRetryNs : kRetryNs);
  sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  const size_t path_bytes = strlen(socket_) + 1;
  if (path_bytes > sizeof address.sun_path) return false;
  memcpy(address.sun_path, socket_, path_bytes);
  // Non-blocking: with a full backlog connect() would hold the whole loop.
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  PeerCredentials peer{-1, 0, 0};
  socklen_t size = sizeof peer;
  bool good = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  // Pid 0 is what a process outside our pid namespace looks like; whoever has a number here is one of our children.
  if (good && check_peer_) good = peer.pid == 0;
  if (!good) {
    close(fd);
    return false;
  }
  fd_ = fd;
  alone_since_ns_ = 0;
  return true;
}

void Link::Close(uint64_t now) {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  alone_since_ns_ = now;
  retry_at_ns_ = now + kRetryNs;
}

}  // namespace mcpfleet::shim
