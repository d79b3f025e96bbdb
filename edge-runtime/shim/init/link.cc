#include "edge-runtime/shim/init/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mcpfleet::shim {
namespace {

constexpr uint64_t kRetryNs = 100'000'000, kSlowRetryNs = 1'000'000'000, kSlowAfterNs = 60'000'000'000;
// More than the protocol knows, so that a surplus is seen and closed instead of cut off by the kernel.
constexpr size_t kControlDescriptors = 16;

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
  if (strlen(socket_) >= sizeof address.sun_path) return false;
  strcpy(address.sun_path, socket_);
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

Link::Result Link::Send(const uint8_t* bytes, size_t size, const int* descriptors, int count) {
  iovec io{const_cast<uint8_t*>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  msghdr message;
  memset(&message, 0, sizeof message);
  memset(control, 0, sizeof control);
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  if (count > 0) {
    size_t bytes_of = sizeof(int) * static_cast<size_t>(count);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(bytes_of);
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(bytes_of);
    memcpy(CMSG_DATA(c), descriptors, bytes_of);
  }
  for (;;) {
    ssize_t n = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == static_cast<ssize_t>(size)) return Result::kDone;
    if (n < 0 && errno == EINTR) continue;
    // ETOOMANYREFS: this uid has too many descriptors in flight; they land when the agents have read them.
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)) return Result::kLater;
    return Result::kBroken;
  }
}

Link::Result Link::Receive(Packet* packet) {
  iovec io{packet->bytes, sizeof packet->bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kControlDescriptors)];
  msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  packet->descriptor_count = 0;
  packet->size = 0;
  ssize_t n;
  do n = recvmsg(fd_, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return Result::kLater;
  if (n < 0) return Result::kBroken;
  bool good = n > 0 && static_cast<size_t>(n) <= kMaxMessage && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      if (packet->descriptor_count < static_cast<int>(kMaxDescriptors)) {
        packet->descriptors[packet->descriptor_count++] = fd;
      } else {
        close(fd);
        good = false;
      }
    }
  }
  if (!good) {
    for (int i = 0; i < packet->descriptor_count; ++i) close(packet->descriptors[i]);
    packet->descriptor_count = 0;
    return Result::kBroken;
  }
  packet->size = static_cast<size_t>(n);
  return Result::kDone;
}

}  // namespace mcpfleet::shim
