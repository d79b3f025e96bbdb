#include "edge-runtime/dashboard/guard.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet::dashboard {

bool IsOwnHost(std::string_view host) {
  // It goes into the page's policy, too: nothing but a name and a port.
  const size_t end = host.starts_with('[') ? host.find(']') : host.find(':');
  if (host.starts_with('[') && end == std::string_view::npos) return false;
  const std::string_view name = host.starts_with('[') ? host.substr(1, end - 1) : host.substr(0, end);
  const std::string_view rest = host.substr(std::min(host.size(), host.starts_with('[') ? end + 1 : end));
  const bool port = rest.starts_with(':') && rest.size() <= std::string_view(":65535").size() &&
                    std::all_of(rest.begin() + 1, rest.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!rest.empty() && !port) return false;
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
