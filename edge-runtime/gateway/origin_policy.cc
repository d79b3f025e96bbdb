#include "edge-runtime/gateway/origin_policy.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

bool IsLoopbackName(std::string_view host) { return host == "localhost" || host == "127.0.0.1" || host == "[::1]"; }

// "host[:port]" of an origin.
std::string_view AuthorityOf(std::string_view origin) {
  const size_t at = origin.find("://");
  return at == std::string_view::npos ? "" : origin.substr(at + 3);
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string_view HostPart(std::string_view authority) {
  if (authority.starts_with("[")) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return "";
    const std::string_view rest = authority.substr(end + 1);
    return rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1))) ? authority.substr(0, end + 1) : "";
  }
  const size_t colon = authority.find(':');
  if (colon == std::string_view::npos) return authority;
  return IsPort(authority.substr(colon + 1)) ? authority.substr(0, colon) : "";
}

std::string OriginOf(std::string_view url) {
  const std::string lower = ToLower(url);
  const std::string_view authority = AuthorityOf(lower);
  const std::string scheme = lower.substr(0, lower.find("://"));
  if (authority.empty() || (scheme != "http" && scheme != "https")) return "";
  std::string_view host_port = authority.substr(0, authority.find_first_of("/?#"));
  const std::string_view default_port = scheme == "https" ? ":443" : ":80";
  if (host_port.ends_with(default_port)) host_port.remove_suffix(default_port.size());
  if (HostPart(host_port).empty()) return "";
  return scheme + "://" + std::string(host_port);
}

bool NamesHost(std::string_view host, std::string_view hostname) {
  const std::string lower = ToLower(Trim(host));
  return !hostname.empty() && (lower == hostname || lower == std::string(hostname) + ":443");
}

bool IsPageOf(std::string_view origin, std::string_view hostname) {
  return !hostname.empty() && OriginOf(Trim(origin)) == "https://" + std::string(hostname);
}

OriginPolicy::OriginPolicy(const std::vector<std::string>& public_urls, const std::vector<std::string>& hosts,
                           const std::vector<std::string>& origins, bool loopback)
    : loopback_(loopback) {
  for (const std::string& url : public_urls) {
    const std::string origin = OriginOf(url);
    if (origin.empty()) continue;
    origins_.push_back(origin);
    hosts_.emplace_back(AuthorityOf(origin));
  }
  for (const std::string& host : hosts) hosts_.push_back(ToLower(host));
  for (const std::string& origin : origins) {
    if (std::string clean = OriginOf(origin); !clean.empty()) origins_.push_back(std::move(clean));
  }
}

bool OriginPolicy::AllowsHost(std::string_view host) const {
  const std::string lower = ToLower(Trim(host));
  const std::string_view name = HostPart(lower);
  if (name.empty()) return false;
  if (loopback_ && IsLoopbackName(name)) return true;
  // A default port may be spelt out; a host without a port is allowed with any.
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& allowed) {
    return allowed == lower || allowed == name || lower == allowed + ":443" || lower == allowed + ":80";
  });
}

bool OriginPolicy::AllowsOrigin(std::string_view origin) const {
  const std::string clean = OriginOf(Trim(origin));
  if (clean.empty()) return false;
  if (loopback_ && IsLoopbackName(HostPart(AuthorityOf(clean)))) return true;
  return std::find(origins_.begin(), origins_.end(), clean) != origins_.end();
}

}  // namespace mcpfleet::gateway
