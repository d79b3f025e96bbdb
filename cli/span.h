// Longer spans of time than Go's durations are good for: "7d", "30d12h".
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::cli {

// Days, then whatever ParseDuration takes; either alone.
StatusOr<Duration> ParseSpan(std::string_view text);

}  // namespace mcpfleet::cli
