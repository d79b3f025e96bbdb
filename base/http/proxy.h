// The HTTP proxy on the way to a server, as it was configured or as the environment says.
#pragma once

#include <string>
#include <string_view>

#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet::http {

struct Proxy {
  Endpoint endpoint;  // without a host: none
  std::string user, password;

  // Makes a client go through it, if there is one.
  void Apply(ClientOptions* options) const;
};

// For requests to `url`: the configured proxy (http://[user:password@]host[:port]), else for https, unless NO_PROXY or
// no_proxy names its host, HTTPS_PROXY or https_proxy of the environment, else none. InvalidArgument; no message holds
// the proxy's URL, which may have a password.
StatusOr<Proxy> ProxyFor(const std::string& configured, std::string_view url);

}  // namespace mcpfleet::http
