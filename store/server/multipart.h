// multipart/form-data as the KV REST protocol uses it: a few small parts beside one value.
// Source: RFC 7578, RFC 2046 §5.1.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// Parts by name; at most 8. InvalidArgument for what is malformed or has a part without a name or twice.
StatusOr<std::map<std::string, std::string>> ParseMultipart(std::string_view content_type, std::string_view body);

}  // namespace mcpfleet
