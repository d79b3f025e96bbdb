#include "base/version.h"

namespace mcpfleet {

const char* Version() { return MCPFLEET_VERSION; }

}  // namespace mcpfleet
