// Where the shim's program is, and its copy that instances use.
#pragma once

#include <string>

#include "base/status.h"

namespace mcpfleet {

// Copies `source` to <state_directory>/lib/mcp-shim-<hash> (0755) unless it is there, and returns that path. The name
// has the hash because a running shim is never replaced: instances keep the version that they were created with.
StatusOr<std::string> InstallShim(const std::string& state_directory, const std::string& source);
// The same of another program that engines start by its path.
StatusOr<std::string> InstallProgram(const std::string& state_directory, const std::string& source,
                                     const std::string& name);

}  // namespace mcpfleet
