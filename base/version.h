// The product's version, from CMakeLists.txt, and when it was made.
#pragma once

#include "base/clock.h"

namespace mcpfleet {

const char* Version();
// SOURCE_DATE_EPOCH, else the date of the commit that was built, else of the source archive. No right clock shows
// an earlier time.
WallTime BuildTime();

}  // namespace mcpfleet
