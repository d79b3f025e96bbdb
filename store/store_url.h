// The URLs of a store and of the way to it, as RestKvClient and WatchClient both read them.
#pragma once

#include <string>
#include <string_view>

#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet {

// http://host[:port][/…] or https://…: where to connect; the path is not part of it. InvalidArgument for anything
// else. No message holds the URL: it could hold a password. Pure.
StatusOr<http::Endpoint> ParseStoreUrl(std::string_view url);

struct StoreProxy {
  http::Endpoint endpoint;  // without a host: none
  std::string user, password;
};

// The proxy for a store: the configured one (http://[user:password@]host[:port]), else HTTPS_PROXY or https_proxy of
// the environment for an https store, else none.
StatusOr<StoreProxy> ProxyFor(const std::string& configured, std::string_view base_url);

}  // namespace mcpfleet
