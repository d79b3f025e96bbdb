// Logs of one server to a client that may go away without a word.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http/server.h"
#include "edge-runtime/mcplet/admin.h"

namespace mcpfleet::admin {

// Blocks until the log ends, the client is gone or `stop` asks. A follow reads in short slices, because a runtime that
// waits for the next line can't see that nobody waits for it any more; lines at the seam are neither lost nor repeated.
void SendLogs(AdminBackend& backend, const Clock& clock, const ServerKey& server, LogOptions options,
              std::shared_ptr<http::Responder> to, const std::function<bool()>& stop);

}  // namespace mcpfleet::admin
