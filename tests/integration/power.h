// What no program survives.
#pragma once

#include "tests/integration/node.h"

namespace mcpfleet {

// The machine loses its power: mcplet and all that the node runs end at once, and nothing is told to anybody.
void PowerOff(Node& node);

}  // namespace mcpfleet
