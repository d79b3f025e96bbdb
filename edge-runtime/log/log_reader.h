// Reads an instance's rotated log files as one stream.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// Whole lines, oldest first, to `sink` until it returns false. With follow: until `over` says that nothing will be
// added, or the deadline (then DeadlineExceeded).
Status ReadLogs(const std::string& directory, const LogOptions& options,
                const std::function<bool(std::string_view)>& sink, const std::function<bool()>& over,
                Deadline deadline);

}  // namespace mcpfleet
