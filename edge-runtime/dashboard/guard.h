// What a request that a browser made must look like before anything is done for it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/http/message.h"
#include "base/status.h"

namespace mcpfleet::dashboard {

// The name of the page's own site. Cookies know no ports: as 127.0.0.1 the page would share its cookie with every other
// web server of this machine. Browsers take every name below localhost for loopback, without DNS.
inline constexpr char kSiteName[] = "mcpfleet.localhost";

// Host (with or without a port) that can only be this machine's loopback: kSiteName, localhost, 127.0.0.1, [::1].
bool IsOwnHost(std::string_view host);
// Whether the request may be looked at: PermissionDenied for another Host (DNS rebinding), for a page of another origin
// that changes something or opens a socket, and for one that the browser itself says is not ours.
Status CheckPage(const http::Request& request);
// The value of the cookie `name`; "" when there is none.
std::string CookieOf(const http::Request& request, std::string_view name);
// The name of the session's cookie for a listener at `port`: two mcplets on one machine don't sign each other out.
std::string CookieName(uint16_t port);
std::string SetCookie(std::string_view name, std::string_view value, int64_t seconds);

}  // namespace mcpfleet::dashboard
