// Unified differences of two texts, for `mcpctl diff` and `rollout history`.
#pragma once

#include <string>
#include <string_view>

namespace mcpfleet::cli {

// "" when equal. Three lines of context; coloured when asked.
std::string UnifiedDiff(std::string_view before, std::string_view after, const std::string& before_name,
                        const std::string& after_name, bool color);

}  // namespace mcpfleet::cli
