// Kubernetes quantities: "500m", "1.5", "256Mi", "1G". InvalidArgument says what is wrong; never negative.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// Cores in thousandths: "500m" -> 500, "1.5" -> 1500. More than three decimals are refused, not rounded.
StatusOr<int64_t> ParseCpuMilli(std::string_view text);
// Bytes: plain, decimal suffixes (k M G T P E) and binary ones (Ki Mi Gi Ti Pi Ei). Must come out as a whole number.
StatusOr<int64_t> ParseBytes(std::string_view text);
// A whole number without suffix.
StatusOr<int64_t> ParseCount(std::string_view text);
// The shortest exact form with a binary suffix: 268435456 -> "256Mi", 1000 -> "1000".
std::string FormatBytes(int64_t bytes);
// 500 -> "500m", 2000 -> "2".
std::string FormatCpuMilli(int64_t milli);

}  // namespace mcpfleet
