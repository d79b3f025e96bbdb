// Decides who a request is from, by the `auth` of one server.
//
//   authenticator.Check(request, [](const Verdict& verdict) {
//     if (const auto* refusal = std::get_if<Refusal>(&verdict)) return Refuse(*refusal);
//     Serve(std::get<Subject>(verdict));
//   });
//
// An OAuth resource server in MCP's sense (RFC 6750, RFC 9728; mcp-protocol.md §5): tokens come in a header with every
// request, never in the query; a JWT must have been issued for this endpoint. The token is for the gateway: what is
// passed on to a server must not have it.
//
// On the gateway's loop only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/http/message.h"
#include "crd/server_spec.h"
#include "edge-runtime/gateway/jwks_cache.h"
#include "edge-runtime/gateway/subject.h"

namespace mcpfleet::gateway {

struct Refusal {
  // 401: no token, or one that is not taken; 403: a good token that lacks scopes; 503: the issuer's keys were never
  // had, so nobody can tell (a client that is told 401 would throw its token away and ask its user to log in).
  int status = 401;
  std::string www_authenticate;  // value of the header; "" with 503
  std::string message;           // for people, in the JSON-RPC error
};
using Verdict = std::variant<Subject, Refusal>;

struct AuthenticatorOptions {
  std::function<WallTime()> now;  // a time that can be trusted for expiry; the clock's wall time when empty
  std::string access_base_url;    // of CloudflareAccess's keys, "": https://<team>.cloudflareaccess.com
};

class Authenticator {
 public:
  using Done = std::function<void(const Verdict& verdict)>;

  // `resources`: the endpoint's URLs as clients may write them, one of which a JWT must be for unless the spec names an
  // audience. `metadata_url`: where ResourceMetadata is served, "": nowhere. `clock` and `keys` outlive what is under
  // way.
  Authenticator(AuthSpec spec, std::vector<std::string> resources, std::string metadata_url, const Clock& clock,
                JwksCache& keys, AuthenticatorOptions options = {});
  ~Authenticator();

  // Calls `done` once: at once, or later on the loop when keys must be fetched, even if this is destroyed meanwhile.
  void Check(const http::Request& request, const Done& done);

 private:
  class Tokens;
  std::shared_ptr<Tokens> tokens_;  // shared with checks under way
};

// The protected resource metadata (RFC 9728) of `resource_url`, JSON; nullopt where no authorization server is known
// (None, Bearer).
std::optional<std::string> ResourceMetadata(const AuthSpec& spec, std::string_view resource_url);

}  // namespace mcpfleet::gateway
