// TCP into the network namespace of another process: how an http server without any network is reached.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/status.h"

namespace mcpfleet {

// Connects to host:port (host: an IPv4 or IPv6 address; names are not resolved in there) as seen by process `pid`, in a
// short-lived thread that enters its network namespace; the caller's own stays as it is. The descriptor works anywhere
// and is non-blocking. NotFound: no such process; PermissionDenied: needs CAP_SYS_ADMIN; Unavailable: refused.
StatusOr<UniqueFd> ConnectInNamespace(int pid, const std::string& host, int port, Deadline deadline);
// The same without waiting: the connect may still be under way, its outcome is the socket's (writable, SO_ERROR).
StatusOr<UniqueFd> BeginConnectInNamespace(int pid, const std::string& host, int port);

}  // namespace mcpfleet
