// Files of secrets: written by the shim, which is the same user as its children, into memory that the runtime mounted.
#pragma once

#include "edge-runtime/shim/wire.h"

namespace mcpfleet::shim {

// The whole content or nothing: a child never reads half of it. Mode 0400. Returns errno, 0 when it is there.
int WritePutFile(const PutFile& file);

}  // namespace mcpfleet::shim
