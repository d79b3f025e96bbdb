// Fetches key sets over HTTPS beside the loop.
#pragma once

#include <string>

#include "edge-runtime/gateway/jwks_cache.h"
#include "edge-runtime/gateway/loop.h"

namespace mcpfleet::gateway {

struct JwksFetchOptions {
  std::string ca_file;  // PEM: trusted instead of the system's certificates
  Duration timeout = std::chrono::seconds(10);
};

// Each fetch runs the blocking client in a short-lived thread, at most four at once, the others wait their turn. https
// only, http to this machine; no redirects; through the proxy of the environment (http::ProxyFor); at most 256 KiB.
// Errors as those of http::Client, Unavailable for another status than 200, InvalidArgument for a URI that is not
// allowed. What is returned and its copies are used and destroyed on the loop's thread, before the loop; an answer that
// comes later is dropped.
FetchJwks MakeHttpsFetch(Loop& loop, JwksFetchOptions options = {});

}  // namespace mcpfleet::gateway
