// Parsing JSON that came from outside: bounded in size and depth, duplicate keys refused, valid UTF-8, no exceptions
// out of here. nlohmann's ordered maps keep nothing in order: object keys come back sorted.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/status.h"

namespace mcpfleet {

using Json = nlohmann::json;

struct JsonLimits {
  size_t bytes = size_t{32} << 20;
  int depth = 64;
};

// InvalidArgument with the byte offset for anything that is not exactly one JSON value.
StatusOr<Json> ParseJson(std::string_view text, JsonLimits limits = {});
// One line, never throws: invalid UTF-8 is replaced by U+FFFD.
std::string DumpJson(const Json& value);
// Pretty, two spaces.
std::string DumpJsonPretty(const Json& value);

// Members by name with a fallback when absent or of another type. They never throw.
std::string GetString(const Json& object, std::string_view key, std::string_view fallback = "");
int64_t GetInt(const Json& object, std::string_view key, int64_t fallback = 0);
bool GetBool(const Json& object, std::string_view key, bool fallback = false);
// The member, or a shared null value.
const Json& GetMember(const Json& object, std::string_view key);
// The strings of a list; whatever else is in it is passed over. Of what is no list: none.
std::vector<std::string> StringsOf(const Json& list);

}  // namespace mcpfleet
