// Options of connected TCP sockets, of clients and servers alike. Private to base/http.
#pragma once

#include "base/clock.h"

namespace mcpfleet::http {

// No delay for small messages. Streams may be silent for hours, so the kernel asks whether the peer still lives: one
// that is gone without a word is noticed within about a minute, or once it has not acknowledged what was sent for
// `unacknowledged`.
void SetTcpOptions(int fd, Duration unacknowledged);

}  // namespace mcpfleet::http
