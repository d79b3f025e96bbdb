#include "base/http/url.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/strings.h"

namespace mcpfleet::http {
namespace {

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

// RFC 3986 §5.2.4, for a path that starts with '/'.
std::string WithoutDotSegments(std::string_view path) {
  std::vector<std::string> kept;
  const std::vector<std::string> segments = Split(path.substr(1), '/');
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    if (segments[i] == ".." && !kept.empty()) kept.pop_back();
    if (segments[i] != "." && segments[i] != "..") {
      kept.push_back(segments[i]);
    } else if (last) {
      kept.emplace_back();
    }
  }
  return "/" + Join(kept, "/");
}

}  // namespace

StatusOr<Url> ParseUrl(std::string_view text) {
  Url out;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    out.endpoint.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return InvalidArgument("url: must start with http:// or https://");
  }
  const size_t end = rest.find_first_of("/?#");
  const std::string_view authority = rest.substr(0, end);
  std::string_view target = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  target = target.substr(0, target.find('#'));
  out.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  if (authority.find('@') != std::string_view::npos)
    return InvalidArgument("url: no user or password is allowed in it");
  out.host_header = std::string(authority);
  size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return InvalidArgument("url: '[' without ']'");
    out.endpoint.host = std::string(authority.substr(1, bracket - 1));
    if (colon != std::string_view::npos && colon < bracket) colon = std::string_view::npos;
  } else {
    out.endpoint.host = std::string(authority.substr(0, colon));
  }
  out.endpoint.port = out.endpoint.tls ? 443 : 80;
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    auto [after, error] = std::from_chars(port.data(), port.data() + port.size(), out.endpoint.port);
    if (error != std::errc() || after != port.data() + port.size())
      return InvalidArgument("url: the port is no number");
  }
  const bool clean = IsVisibleAscii(out.endpoint.host) && IsVisibleAscii(out.target);
  if (out.endpoint.host.empty() || !clean)
    return InvalidArgument("url: the host is empty or characters are not encoded");
  return out;
}

StatusOr<Url> ResolveUrl(const Url& base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  const std::string scheme = base.endpoint.tls ? "https:" : "http:";
  if (reference.starts_with("http://") || reference.starts_with("https://")) return ParseUrl(reference);
  if (reference.starts_with("//")) return ParseUrl(scheme + std::string(reference));
  const size_t name_end = reference.find_first_of(":/?");
  if (name_end != std::string_view::npos && reference[name_end] == ':')
    return InvalidArgument("url: must start with http:// or https://");
  const std::string_view base_path = std::string_view(base.target).substr(0, base.target.find('?'));
  const size_t query = reference.find('?');
  const std::string_view path = reference.substr(0, query);
  std::string full;
  if (path.empty()) {
    full = base_path;
  } else if (path.front() == '/') {
    full = path;
  } else {
    full = std::string(base_path.substr(0, base_path.rfind('/') + 1)).append(path);
  }
  full = WithoutDotSegments(full);
  if (query != std::string_view::npos) full += reference.substr(query);
  return ParseUrl(scheme + "//" + base.host_header + full);
}

bool SameOrigin(const Url& a, const Url& b) {
  return a.endpoint.tls == b.endpoint.tls && a.endpoint.port == b.endpoint.port &&
         EqualsIgnoreCase(a.endpoint.host, b.endpoint.host);
}

}  // namespace mcpfleet::http
