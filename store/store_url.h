// The URL of a store, as RestKvClient and WatchClient both read it.
#pragma once

#include <string_view>

#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet {

// http://host[:port][/…] or https://…: where to connect; the path is not part of it. InvalidArgument for anything
// else. No message holds the URL: it could hold a password. Pure.
StatusOr<http::Endpoint> ParseStoreUrl(std::string_view url);

}  // namespace mcpfleet
