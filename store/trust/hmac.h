// HMAC-SHA-256 (RFC 2104), by libsodium.
#pragma once

#include <string>
#include <string_view>

namespace mcpfleet {

// 64 lower-case hex digits. Compare two of them with EqualsInConstantTime.
std::string HmacSha256Hex(std::string_view key, std::string_view text);

}  // namespace mcpfleet
