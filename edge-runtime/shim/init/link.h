// The shim's connection to mcplet. The shim connects out and tries again for ever; who listens must be outside our pid
// namespace. Nothing here blocks: what can't be sent now is sent when the socket takes it, and a connection that breaks
// any rule is closed and made anew, after which the agent is told everything again.
#pragma once

#include <stdint.h>

#include "edge-runtime/shim/packet.h"

namespace mcpfleet::shim {

class Link {
 public:
  Link(const char* socket, bool check_peer) : socket_(socket), check_peer_(check_peer) {}
  int fd() const { return fd_; }
  bool connected() const { return fd_ >= 0; }
  // When to call Connect again, while not connected.
  uint64_t retry_at_ns() const { return retry_at_ns_; }
  // True when a connection stands that did not before.
  bool Connect(uint64_t now);
  void Close(uint64_t now);

 private:
  const char* socket_;
  bool check_peer_;
  int fd_ = -1;
  uint64_t retry_at_ns_ = 0, alone_since_ns_ = 0;
};

}  // namespace mcpfleet::shim
