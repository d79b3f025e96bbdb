// http and https URLs in parts, as clients need them. Pure functions; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet::http {

// "http[s]://host[:port][/path][?query]".
struct Url {
  Endpoint endpoint;
  std::string target;       // path and query
  std::string host_header;  // as it belongs into Host
};

// InvalidArgument for anything else, also for user:password@. A fragment is left out.
StatusOr<Url> ParseUrl(std::string_view text);
// What `reference` means in a document at `base` (RFC 3986 §5.2): a URL, a path, or a path relative to that of `base`.
StatusOr<Url> ResolveUrl(const Url& base, std::string_view reference);
// Scheme, host and port are the same.
bool SameOrigin(const Url& a, const Url& b);

}  // namespace mcpfleet::http
