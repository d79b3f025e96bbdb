// Where the programs are that came with this one (mcp-shim, mcp-sandbox beside mcplet).
#pragma once

#include <string>

#include "base/status.h"

namespace mcpfleet {

// $MCPFLEET_LIBEXEC/<name>, next to this program, or ../libexec/mcpfleet/<name> from it. NotFound says where it was
// looked for.
StatusOr<std::string> FindOwnProgram(const std::string& name);

}  // namespace mcpfleet
