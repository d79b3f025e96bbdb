// Starts mcp-sandbox on an instance's directory.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

// OK once the first process of the instance runs, or when one ran already. FailedPrecondition: the sandbox could not
// be made, with the step and the kernel's error. DeadlineExceeded: unknown; the monitor may still bring it up.
Status LaunchSandbox(const std::string& sandbox_binary, const std::string& directory, Deadline deadline);

}  // namespace mcpfleet
