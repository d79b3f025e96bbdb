// One packet with its descriptors, sent or received without blocking; shared by mcplet and mcp-shim, so C only.
// Whatever breaks a rule (cut off, too large, more descriptors than any message has) leaves no descriptor open.
#pragma once

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge-runtime/shim/wire.h"

namespace mcpfleet::shim {

struct Packet {
  uint8_t bytes[kMaxMessage + 1];
  size_t size = 0;
  int descriptors[kMaxDescriptors] = {-1, -1, -1, -1, -1};
  int descriptor_count = 0;
};

enum class Transfer { kDone, kLater, kBroken };

inline void CloseDescriptors(Packet* packet) {
  for (int i = 0; i < packet->descriptor_count; ++i) close(packet->descriptors[i]);
  packet->descriptor_count = 0;
}

// kLater also when this uid has too many descriptors in flight: they land when the other side has read them.
inline Transfer SendPacket(int socket, const uint8_t* bytes, size_t size, const int* descriptors, int count) {
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
    ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == static_cast<ssize_t>(size)) return Transfer::kDone;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)) return Transfer::kLater;
    return Transfer::kBroken;
  }
}

// kLater: nothing there now. kBroken: closed by the peer or against the rules.
inline Transfer ReceivePacket(int socket, Packet* packet) {
  iovec io{packet->bytes, sizeof packet->bytes};
  // Room for more than any message has: a surplus is then seen and closed.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)];
  msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  packet->descriptor_count = 0;
  packet->size = 0;
  ssize_t n;
  do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return Transfer::kLater;
  if (n < 0) return Transfer::kBroken;
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
    CloseDescriptors(packet);
    return Transfer::kBroken;
  }
  packet->size = static_cast<size_t>(n);
  return Transfer::kDone;
}

}  // namespace mcpfleet::shim
