#include "edge-runtime/tunnel/ingress.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::tunnel {
namespace {

constexpr size_t kHostnameBytes = 253, kLabelBytes = 63;

bool IsLabel(std::string_view label) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !label.empty() && label.size() <= kLabelBytes && is_word(label.front()) && is_word(label.back()) &&
         std::all_of(label.begin(), label.end(), [&](char c) { return is_word(c) || c == '-'; });
}

// A double-quoted scalar of YAML says nothing else when these are all that it has.
bool IsPlainPath(std::string_view path) {
  return path.starts_with('/') && std::all_of(path.begin(), path.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("/._-").find(c) != std::string_view::npos;
         });
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

}  // namespace

bool IsHostname(std::string_view text) {
  if (text.size() > kHostnameBytes) return false;
  const std::vector<std::string> labels = Split(text, '.');
  return labels.size() >= 2 && std::all_of(labels.begin(), labels.end(), IsLabel) && labels.back().front() >= 'a';
}

StatusOr<std::string> ServiceOf(const GatewayOrigin& origin) {
  if (!origin.unix_path.empty()) {
    if (!IsPlainPath(origin.unix_path))
      return InvalidArgument("ingress: " + Printable(origin.unix_path) + " is no path");
    return "unix:" + origin.unix_path;
  }
  if (origin.port == 0) return InvalidArgument("ingress: the gateway is not open");
  std::string host = origin.address;
  if (host == "0.0.0.0" || host == "localhost") host = "127.0.0.1";
  if (host == "::") host = "::1";
  unsigned char ignored[sizeof(in6_addr)];
  const bool v6 = inet_pton(AF_INET6, host.c_str(), ignored) == 1;
  if (!v6 && inet_pton(AF_INET, host.c_str(), ignored) != 1)
    return InvalidArgument("ingress: the gateway's address " + Printable(host) + " is no address");
  return std::string(origin.tls ? "https" : "http") + "://" + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(origin.port);
}

StatusOr<std::string> IngressFile(const std::vector<std::string>& hostnames, const GatewayOrigin& origin) {
  ASSIGN_OR_RETURN(const std::string service, ServiceOf(origin));
  std::string text = "# Written by mcplet from the servers of this node; what is changed here is lost.\ningress:\n";
  std::set<std::string> seen;
  for (const std::string& hostname : hostnames) {
    if (!IsHostname(hostname)) return InvalidArgument("ingress: " + Printable(hostname) + " is no host name");
    if (!seen.insert(hostname).second) return InvalidArgument("ingress: " + hostname + " is there twice");
    text += "  - hostname: \"" + hostname + "\"\n    service: \"" + service + "\"\n";
    if (origin.unix_path.empty() && origin.tls) text += "    originRequest:\n      noTLSVerify: true\n";
  }
  return text + "  - service: \"http_status:404\"\n";
}

StatusOr<Credentials> ReadCredentials(std::string text) {
  const StatusOr<Json> json = ParseJson(text, {.bytes = 64 << 10, .depth = 4});
  if (!json.ok() || !json->is_object())
    return InvalidArgument("is not the JSON file that `cloudflared tunnel create` writes");
  Credentials out{.tunnel_id = ToLower(GetString(*json, "TunnelID")), .text = std::move(text)};
  if (!IsUuid(out.tunnel_id)) return InvalidArgument("TunnelID is missing or no UUID");
  for (const char* field : {"AccountTag", "TunnelSecret"}) {
    if (GetString(*json, field).empty()) return InvalidArgument(std::string(field) + " is missing");
  }
  return out;
}

}  // namespace mcpfleet::tunnel
