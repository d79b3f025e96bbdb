// Whether enforcement Required can be had of a container engine. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace mcpfleet {

// Of an engine that lacks these features of the sandbox; FailedPrecondition names them.
Status CheckEnforceable(const std::vector<std::string>& unenforced);

}  // namespace mcpfleet
