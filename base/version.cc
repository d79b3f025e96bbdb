#include "base/version.h"

namespace mcpfleet {

const char* Version() { return MCPFLEET_VERSION; }

WallTime BuildTime() { return WallTime(std::chrono::seconds(MCPFLEET_BUILD_TIME)); }

}  // namespace mcpfleet
