#include "base/http/proxy.h"

#include <cstdlib>

#include "base/http/url.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

std::string OfEnvironment(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  return "";
}

// "*", or host names, each of which stands for those below it too, as curl reads them.
bool IsExempt(std::string_view host, std::string_view exempt) {
  for (const std::string& item : Split(exempt, ',')) {
    std::string_view name = Trim(item);
    if (name == "*") return true;
    if (name.starts_with('.')) name.remove_prefix(1);
    if (name.empty() || name.size() > host.size() || !EqualsIgnoreCase(host.substr(host.size() - name.size()), name))
      continue;
    if (name.size() == host.size() || host[host.size() - name.size() - 1] == '.') return true;
  }
  return false;
}

std::string ProxyUrl(const std::string& configured, std::string_view url) {
  if (!configured.empty()) return configured;
  const StatusOr<Url> target = ParseUrl(url);
  if (!target.ok() || !target->endpoint.tls) return "";
  if (IsExempt(target->endpoint.host, OfEnvironment({"NO_PROXY", "no_proxy"}))) return "";
  return OfEnvironment({"HTTPS_PROXY", "https_proxy"});
}

}  // namespace

void Proxy::Apply(ClientOptions* options) const {
  options->proxy = endpoint;
  options->proxy_authorization = user.empty() ? "" : "Basic " + Base64Encode(user + ":" + password);
}

StatusOr<Proxy> ProxyFor(const std::string& configured, std::string_view url) {
  Proxy proxy;
  const std::string whole = ProxyUrl(configured, url);
  if (whole.empty()) return proxy;
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = whole;
  if (!rest.starts_with(kScheme)) return InvalidArgument("proxy URL: must start with http://");
  rest.remove_prefix(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    const size_t colon = user.find(':');
    const std::string_view password = colon == std::string_view::npos ? "" : user.substr(colon + 1);
    if (!PercentDecode(user.substr(0, colon), &proxy.user) || !PercentDecode(password, &proxy.password))
      return InvalidArgument("proxy URL: user or password is not percent-encoded");
    rest.remove_prefix(at + 1);
  }
  const StatusOr<Url> parsed = ParseUrl(std::string(kScheme) + std::string(rest));
  if (!parsed.ok()) return Annotate(parsed.status(), "proxy URL");
  proxy.endpoint = parsed->endpoint;
  return proxy;
}

}  // namespace mcpfleet::http
