#include "base/http/tcp_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace mcpfleet::http {

void SetTcpOptions(int fd, Duration unacknowledged) {
  const auto set = [fd](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(unacknowledged).count();
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(millis));
}

}  // namespace mcpfleet::http
