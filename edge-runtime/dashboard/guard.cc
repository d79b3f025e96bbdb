#include "edge-runtime/dashboard/guard.h"

#include "base/strings.h"

namespace mcpfleet::dashboard {

bool IsOwnHost(std::string_view host) {
  const size_t bracket = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  const std::string_view name =
      host.starts_with('[') ? (bracket == std::string_view::npos ? std::string_view() : host.substr(1, bracket - 1))
                            : host.substr(0, host.find(':'));
  return name == "127.0.0.1" || name == "::1" || EqualsIgnoreCase(name, "localhost") ||
         EqualsIgnoreCase(name, kSiteName);
}

Status CheckPage(const http::Request& request) {
  const std::string host = request.headers.Get("Host").value_or("");
  if (!IsOwnHost(host)) return PermissionDenied("host: only " + std::string(kSiteName) + " and loopback are served");
  const std::optional<std::string> origin = request.headers.Get("Origin");
  const bool same = origin && EqualsIgnoreCase(*origin, "http://" + host);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (origin ? !same : request.headers.Has("Upgrade"))
    return PermissionDenied("origin: pages of other sites may not ask here");
  // A browser sends no Origin with a GET of its own page, and this with everything; a person who opens the page is
  // "none".
  const std::string site = request.headers.Get("Sec-Fetch-Site").value_or("same-origin");
  const bool opens = request.headers.Get("Sec-Fetch-Mode") == "navigate" && reads;
  if (site != "same-origin" && site != "none" && !opens)
    return PermissionDenied("origin: pages of other sites may not ask here");
  return OkStatus();
}

std::string CookieOf(const http::Request& request, std::string_view name) {
  for (const auto& [field, value] : request.headers.fields()) {
    if (!EqualsIgnoreCase(field, "cookie")) continue;
    for (const std::string& part : Split(value, ';')) {
      const std::string_view pair = Trim(part);
      const size_t equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name)
        return std::string(pair.substr(equals + 1));
    }
  }
  return "";
}

std::string CookieName(uint16_t port) { return "mcpfleet-session-" + std::to_string(port); }

std::string SetCookie(std::string_view name, std::string_view value, int64_t seconds) {
  // Not Secure: this is plain HTTP on loopback.
  return std::string(name) + "=" + std::string(value) + "; Path=/; Max-Age=" + std::to_string(seconds) +
         "; HttpOnly; SameSite=Strict";
}

}  // namespace mcpfleet::dashboard
