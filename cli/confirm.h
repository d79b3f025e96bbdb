// "Are you sure" for what can't be taken back.
#pragma once

#include <string>

#include "cli/session.h"

namespace mcpfleet::cli {

// OK with `yes`, or when somebody at the terminal says so. Cancelled when they say no; InvalidArgument, which names
// --yes, where nobody can be asked.
Status Confirm(Session& session, bool yes, const std::string& what);

// The same for what can be taken back; `what` is a question without its mark: "install weather".
Status Ask(Session& session, bool yes, const std::string& what);

}  // namespace mcpfleet::cli
