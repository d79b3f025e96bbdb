#include "store/join_token.h"

#include <optional>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/digest.h"
#include "base/strings.h"
#include "crd/labels.h"
#include "store/trust/hmac.h"

namespace mcpfleet {
namespace {

constexpr char kDomain[] = "mcpfleet join v1\n";
constexpr size_t kSecretBytes = 32, kKeyBytes = 32;

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<std::string> SecretBytes(std::string_view secret) {
  std::optional<std::string> bytes = Base64UrlDecode(secret);
  if (!bytes || bytes->size() != kSecretBytes) return std::nullopt;
  return bytes;
}

std::string ToWire(const std::string& key) { return Base64Encode(Base64UrlDecode(key).value_or("")); }

StatusOr<std::string> FromWire(const Json& keys, const char* name) {
  std::string bytes;
  if (!Base64Decode(GetString(keys, name), &bytes) || bytes.size() != kKeyBytes)
    return InvalidArgument(std::string("keys.") + name + ": is not 32 bytes in base64");
  return Base64UrlEncode(bytes);
}

}  // namespace

std::string NewJoinId() { return RandomHex(16); }

std::string NewJoinSecret() {
  const std::string hex = RandomHex(kSecretBytes);
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return Base64UrlEncode(bytes);
}

std::string FormatJoinToken(const JoinToken& token) {
  return token.id + "." + token.secret + "." + token.fleet + "." + token.fingerprint + "." + ToString(token.minimum);
}

StatusOr<JoinToken> ParseJoinToken(std::string_view text) {
  const auto bad = [](const std::string& why) {
    return InvalidArgument("join token: " + why + "; it is what `mcpctl node enroll` printed, one line of the form " +
                           "<id>.<secret>.<fleet>.<fingerprint>.<minimum head>");
  };
  text = Trim(text);
  if (text.empty()) return bad("is empty");
  if (text.size() > kJoinTokenBytes) return bad("is too long");
  std::string_view parts[4];
  for (std::string_view& part : parts) {
    const size_t dot = text.find('.');
    if (dot == std::string_view::npos) return bad("has too few parts");
    part = text.substr(0, dot);
    text.remove_prefix(dot + 1);
  }
  JoinToken token{.id = std::string(parts[0]),
                  .secret = std::string(parts[1]),
                  .fleet = std::string(parts[2]),
                  .fingerprint = std::string(parts[3])};
  if (!IsHex(token.id, 32)) return bad("its id is not 32 hex digits");
  if (!SecretBytes(token.secret)) return bad("its secret is not 43 characters of base64url");
  if (!IsHex(token.fleet, 32)) return bad("its fleet is not 32 hex digits");
  if (!token.fingerprint.empty() && !IsSha256Hex(token.fingerprint)) return bad("its fingerprint is not 64 hex digits");
  const StatusOr<HeadOrder> minimum = ParseHeadOrder(text);
  if (!minimum.ok() || ToString(*minimum) != text) return bad("its minimum head is not trust.epoch.revision");
  token.minimum = *minimum;
  return token;
}

std::string JoinMac(std::string_view secret, std::string_view node, const NodePublicKeys& keys) {
  const std::optional<std::string> key = SecretBytes(secret);
  if (!key) return "";
  return HmacSha256Hex(*key, kDomain + std::string(node) + "\n" + keys.signing + "\n" + keys.sealing + "\n");
}

Json ToJson(const Presented& presented) {
  return {{"node", presented.node},
          {"keys", {{"signing", ToWire(presented.keys.signing)}, {"sealing", ToWire(presented.keys.sealing)}}},
          {"mac", presented.mac}};
}

StatusOr<Presented> PresentedFromJson(const Json& json) {
  Presented presented{.node = GetString(json, "node"), .mac = GetString(json, "mac")};
  if (!CheckName(presented.node).empty()) return InvalidArgument("node: is no name");
  ASSIGN_OR_RETURN(presented.keys, KeysFromJson(GetMember(json, "keys")));
  if (!IsSha256Hex(presented.mac)) return InvalidArgument("mac: is not 64 hex digits");
  return presented;
}

StatusOr<NodePublicKeys> KeysFromJson(const Json& json) {
  NodePublicKeys keys;
  ASSIGN_OR_RETURN(keys.signing, FromWire(json, "signing"));
  ASSIGN_OR_RETURN(keys.sealing, FromWire(json, "sealing"));
  return keys;
}

bool ProvesSecret(const Presented& presented, std::string_view secret) {
  const std::string expected = JoinMac(secret, presented.node, presented.keys);
  return !expected.empty() && EqualsInConstantTime(expected, presented.mac);
}

}  // namespace mcpfleet
