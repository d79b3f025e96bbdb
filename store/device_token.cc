#include "store/device_token.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet {

constexpr size_t kAuthorBytes = 256;

std::string DeviceTokenKey(std::string_view sha256) { return kDeviceTokenPrefix + std::string(sha256); }

std::string EncodeDeviceToken(const DeviceToken& token) {
  return DumpJson(
      {{"node", token.node}, {"createdAt", token.created_at}, {"author", token.author.substr(0, kAuthorBytes)}});
}

StatusOr<DeviceToken> ParseDeviceToken(std::string_view json) {
  ASSIGN_OR_RETURN(const Json parsed, ParseJson(json));
  DeviceToken token{GetString(parsed, "node"), GetString(parsed, "createdAt"), GetString(parsed, "author")};
  if (token.node.empty()) return InvalidArgument("device token: names no node");
  return token;
}

}  // namespace mcpfleet
