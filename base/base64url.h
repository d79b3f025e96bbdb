// Base64 as tokens and JSON Web Keys write it: RFC 4648 §5, the alphabet with - and _, without padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mcpfleet {

std::string Base64UrlEncode(std::string_view bytes);
// Strict: no padding, no white space, no + or /, unused bits zero. So bytes have one spelling, and a token that was
// judged can't come back as another text.
std::optional<std::string> Base64UrlDecode(std::string_view text);

}  // namespace mcpfleet
