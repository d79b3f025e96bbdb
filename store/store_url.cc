#include "store/store_url.h"

#include <charconv>
#include <cstdlib>

#include "base/strings.h"

namespace mcpfleet {
namespace {

// host, host:port, [v6], [v6]:port; whatever port `endpoint` has is the default.
Status ParseAuthority(std::string_view text, http::Endpoint* endpoint) {
  size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    std::string_view port = text.substr(colon + 1);
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint->port);
    if (error != std::errc() || end != port.data() + port.size()) return InvalidArgument("bad port");
    text = text.substr(0, colon);
  }
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  if (text.empty()) return InvalidArgument("no host");
  endpoint->host = text;
  return OkStatus();
}

std::string ProxyUrl(const std::string& configured, std::string_view base_url) {
  if (!configured.empty() || base_url.rfind("https://", 0) != 0) return configured;
  for (const char* name : {"HTTPS_PROXY", "https_proxy"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

StatusOr<http::Endpoint> ParseStoreUrl(std::string_view url) {
  http::Endpoint endpoint{.tls = url.substr(0, 8) == "https://"};
  if (!endpoint.tls && url.substr(0, 7) != "http://") {
    return InvalidArgument("store URL: must start with http:// or https://");
  }
  endpoint.port = endpoint.tls ? 443 : 80;
  url.remove_prefix(endpoint.tls ? 8 : 7);
  url = url.substr(0, url.find('/'));
  if (url.find('@') != std::string_view::npos) return InvalidArgument("store URL: must not hold a user or password");
  RETURN_IF_ERROR(Annotate(ParseAuthority(url, &endpoint), "store URL"));
  return endpoint;
}

StatusOr<StoreProxy> ProxyFor(const std::string& configured, std::string_view base_url) {
  StoreProxy proxy;
  const std::string whole = ProxyUrl(configured, base_url);
  if (whole.empty()) return proxy;
  std::string_view url = whole;
  if (url.substr(0, 7) != "http://") return InvalidArgument("proxy URL: must start with http://");
  url.remove_prefix(7);
  url = url.substr(0, url.find('/'));
  if (size_t at = url.rfind('@'); at != std::string_view::npos) {
    std::string_view user = url.substr(0, at);
    size_t colon = user.find(':');
    std::string_view password = colon == std::string_view::npos ? "" : user.substr(colon + 1);
    if (!PercentDecode(user.substr(0, colon), &proxy.user) || !PercentDecode(password, &proxy.password)) {
      return InvalidArgument("proxy URL: user or password is not percent-encoded");
    }
    url.remove_prefix(at + 1);
  }
  proxy.endpoint.port = 80;
  RETURN_IF_ERROR(Annotate(ParseAuthority(url, &proxy.endpoint), "proxy URL"));
  return proxy;
}

}  // namespace mcpfleet
