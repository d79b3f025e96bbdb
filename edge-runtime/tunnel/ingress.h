// The configuration file of cloudflared: which host names it takes, and that all of them lead to the gateway. Pure.
//
//   ingress:
//     - hostname: "fs.example.com"
//       service: "unix:/gateway/gateway.sock"
//     - service: "http_status:404"
//
// No other origin can be written by this: the tunnel is a way in, and a rule for another service would be one to there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mcpfleet::tunnel {

// Where the gateway is, as cloudflared sees it: a unix socket, or an address of this machine.
struct GatewayOrigin {
  std::string unix_path;  // when set, the rest is not used
  std::string address;    // that it listens on: "127.0.0.1", "::", …
  uint16_t port = 0;
  bool tls = false;  // its certificate is for public names: not verified, it is the same machine
};

// A whole name in lower case: two labels or more, no port, no wildcard, no address.
bool IsHostname(std::string_view text);
// As `service` of a rule. InvalidArgument: no path, or no address with a port.
StatusOr<std::string> ServiceOf(const GatewayOrigin& origin);
// InvalidArgument names what can't be written: an origin without path or port, a host name that is none or is there
// twice.
StatusOr<std::string> IngressFile(const std::vector<std::string>& hostnames, const GatewayOrigin& origin);

// What `cloudflared tunnel create` writes: the identity of one tunnel.
struct Credentials {
  std::string tunnel_id;  // a UUID in lower case
  std::string text;       // the file's own, secret
};
// InvalidArgument says what is missing; no message has any of it.
StatusOr<Credentials> ReadCredentials(std::string text);

}  // namespace mcpfleet::tunnel
