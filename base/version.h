// The product's version, from CMakeLists.txt.
#pragma once

namespace mcpfleet {

const char* Version();

}  // namespace mcpfleet
