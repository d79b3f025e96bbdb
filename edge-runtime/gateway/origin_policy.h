// Which Host and Origin headers a request may carry: what keeps web pages from reaching a gateway on the user's own
// machine through a name that they control (DNS rebinding; specification, basic/transports, "Security Warning").
//
// By default: the hosts of the configured public URLs and, for a gateway on loopback, localhost, 127.0.0.1 and [::1]
// with any port. A request without an Origin is from no browser and passes; "null" does not. Pure.
//
// Beside it stands what one server alone may be called: NamesHost and IsPageOf, for the names of the tunnel.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mcpfleet::gateway {

class OriginPolicy {
 public:
  // public_urls: "https://mcp.example.com[/path]". origins: exact, "https://app.example.com[:port]", allowed beside the
  // public URLs' own. hosts: names (with or without port) allowed beside theirs.
  OriginPolicy(const std::vector<std::string>& public_urls, const std::vector<std::string>& hosts,
               const std::vector<std::string>& origins, bool loopback);

  // `host`: the header's value, "" when there is none.
  bool AllowsHost(std::string_view host) const;
  bool AllowsOrigin(std::string_view origin) const;

 private:
  std::vector<std::string> hosts_;    // lower case, port only where it is given
  std::vector<std::string> origins_;  // lower case
  const bool loopback_;
};

// "scheme://host[:port]" of a URL, in lower case and without a default port; "" when it is none.
std::string OriginOf(std::string_view url);
// Whether a Host header names `hostname` (lower case), and an Origin header a page of it: by https, at the default
// port.
bool NamesHost(std::string_view host, std::string_view hostname);
bool IsPageOf(std::string_view origin, std::string_view hostname);
// The host of "host[:port]" and of "[address]:port", with the brackets.
std::string_view HostPart(std::string_view authority);

}  // namespace mcpfleet::gateway
