// `mcplet doctor`: what this node can enforce and run, and how to mend what it can't. Changes nothing that runs.
#pragma once

#include <iosfwd>

#include "base/clock.h"
#include "edge-runtime/mcplet/config.h"

namespace mcpfleet {

// Prints one line per finding; true when servers can run here.
bool RunDoctor(const Config& config, const Clock& clock, std::ostream& out);

}  // namespace mcpfleet
