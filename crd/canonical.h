// The one byte form of an object, so that equal objects have equal hashes on every machine and in every language:
// RFC 8785 (JSON Canonicalization Scheme), narrowed: integers up to 2^53 only, no floating point. Members are ordered
// by UTF-16 code units, which differs from byte order beyond the basic plane. Test vectors:
// tests/crd/testdata/canonical.json.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

// InvalidArgument with the path of a number that is a float or beyond ±(2^53 - 1), of a string that is not UTF-8, or
// when nested deeper than 128.
StatusOr<std::string> Canonicalize(const Json& value);
// SHA-256 of the bytes, 64 lower-case hex digits.
std::string HashOf(std::string_view canonical_bytes);

}  // namespace mcpfleet
