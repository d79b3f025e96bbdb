// The join token: what an operator hands to a machine so that it becomes a node of the fleet. Pure.
//
//   <id>.<secret>.<fleet>.<fingerprint>.<minimum head>
//
//   id            32 hex digits: what the Worker knows
//   secret        43 characters, base64url of 32 bytes: known to mcpctl and to whoever holds the token, never sent
//   fleet         32 hex digits, Head::fleet
//   fingerprint   64 hex digits, the trust root; empty in a fleet that is not signed
//   minimum head  trust.epoch.revision, as the operator saw it
//
// The node proves that it was given the token, and that nobody changed its keys on the way, by
//
//   HMAC-SHA-256(the 32 bytes of the secret,
//                "mcpfleet join v1\n" <node> "\n" <signing key> "\n" <sealing key> "\n")
//
// in hex, with the keys in base64url. Nothing of it can be read two ways: names and keys hold no line break.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"
#include "store/snapshot.h"
#include "store/trust/node_keys.h"

namespace mcpfleet {

inline constexpr size_t kJoinTokenBytes = 512;  // more than any

struct JoinToken {
  std::string id, secret, fleet, fingerprint;
  HeadOrder minimum;
  bool operator==(const JoinToken&) const = default;
};

std::string NewJoinId();
std::string NewJoinSecret();
std::string FormatJoinToken(const JoinToken& token);
// White space around it is left out; what FormatJoinToken would write otherwise is refused. InvalidArgument; no message
// holds the token or a part of it.
StatusOr<JoinToken> ParseJoinToken(std::string_view text);

// What a node presents, as it is on the wire: keys in base64 with padding there, in base64url here.
struct Presented {
  std::string node;
  NodePublicKeys keys;
  std::string mac;  // 64 hex digits
};
// `secret` as in a token. "" when it is none.
std::string JoinMac(std::string_view secret, std::string_view node, const NodePublicKeys& keys);
Json ToJson(const Presented& presented);
StatusOr<Presented> PresentedFromJson(const Json& json);
// {"signing", "sealing"} as the Worker writes them.
StatusOr<NodePublicKeys> KeysFromJson(const Json& json);
// Whether who presents this knew the secret. In constant time.
bool ProvesSecret(const Presented& presented, std::string_view secret);

}  // namespace mcpfleet
