// Who a node is: two private keys of its own, made once and kept in files that only root reads, and their public
// halves, which stand in the node's MCPNode object once an operator has accepted them (docs/cloudflare-protocol.md,
// Enrolment).
//
//   <state directory>/identity/signing-key    Ed25519, 43 characters of base64url and a newline
//   <state directory>/identity/sealing-key    X25519, likewise: what secrets are sealed to
//   <state directory>/identity/device-token   what the Worker gave at the join
//   <state directory>/identity/nonce          the number for the next connect
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crd/object.h"
#include "store/trust/ed25519.h"
#include "store/trust/sealing.h"

namespace mcpfleet {

inline constexpr char kSigningKeyFile[] = "signing-key";
inline constexpr char kSealingKeyFile[] = "sealing-key";
inline constexpr char kDeviceTokenFile[] = "device-token";

// "<state directory>/identity".
std::string IdentityDirectory(std::string_view state_directory);

// Base64url of 32 bytes each.
struct NodePublicKeys {
  std::string signing, sealing;
  bool operator==(const NodePublicKeys&) const = default;
};

class NodeKeys {
 public:
  // The keys in `directory`; makes it (0700) and each key that is not there (0600, durable when this returns). Two
  // processes that come at once get the same keys. PermissionDenied for a file that others may read; InvalidArgument,
  // which names the file, for one that holds no key: it is never replaced.
  static StatusOr<NodeKeys> LoadOrCreate(const std::string& directory);
  // New keys in the place of those that are there: for a machine that was copied.
  static StatusOr<NodeKeys> Renew(const std::string& directory);

  const SigningKey& signing() const { return signing_; }
  const SealingKey& sealing() const { return sealing_; }
  NodePublicKeys Public() const { return {signing_.public_key(), sealing_.public_key()}; }

 private:
  NodeKeys(SigningKey signing, SealingKey sealing) : signing_(std::move(signing)), sealing_(std::move(sealing)) {}
  SigningKey signing_;
  SealingKey sealing_;
};

// spec.keys of an MCPNode; nullopt where none were accepted, or what stands there are no keys.
std::optional<NodePublicKeys> PublishedKeys(const Object& node);
void PublishKeys(const NodePublicKeys& keys, Object* node);

}  // namespace mcpfleet
