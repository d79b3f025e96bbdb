// Small string functions that the standard library lacks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mcpfleet {

std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view Trim(std::string_view text);  // ASCII white space at both ends
std::string ToLower(std::string_view text);    // ASCII only
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
// Whether `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);
// RFC 3986: everything but unreserved characters as %XX; '/' becomes %2F.
std::string PercentEncode(std::string_view text);
// False on a malformed escape. '+' stays '+'.
bool PercentDecode(std::string_view text, std::string* out);
// The candidate nearest to `word` when it is near enough to be a misspelling, else "".
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);
// Text for a terminal or a log: control characters as \xNN, cut to `limit` bytes.
std::string Printable(std::string_view text, size_t limit = 200);
std::string Base64Encode(std::string_view bytes);
bool Base64Decode(std::string_view text, std::string* out);  // strict: padding required, no white space

}  // namespace mcpfleet
