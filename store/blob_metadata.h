// The KV metadata of immutable blobs: when they were last written, so that garbage collection leaves alone what a
// writer may be about to name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mcpfleet {

std::string BlobMetadata(WallTime written);
std::optional<WallTime> BlobWritten(std::string_view metadata);

}  // namespace mcpfleet
