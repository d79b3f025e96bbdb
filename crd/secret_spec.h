// spec of an MCPSecret, and which secrets a server's spec refers to. What is in it is sealed: store/trust/sealed_secret
// makes and opens it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"
#include "crd/object.h"
#include "crd/server_spec.h"

namespace mcpfleet {

// Bounds of the values, before they are sealed.
inline constexpr size_t kSecretValueBytes = size_t{32} << 10;
inline constexpr size_t kSecretBytes = size_t{256} << 10;  // all of a secret: the object must stay below 1 MiB
inline constexpr size_t kSecretKeys = 64;
// All files of one server: they travel to its instance in packets of one socket's buffer.
inline constexpr size_t kSecretFileBytes = size_t{96} << 10;

// Names of the keys of a secret for source.image.pullSecret: the first alone, or the other two.
inline constexpr char kDockerConfigKey[] = ".dockerconfigjson";
inline constexpr char kRegistryUserKey[] = "username", kRegistryPasswordKey[] = "password";

enum class RecipientKind { kNode, kOperator };
struct SecretRecipient {
  RecipientKind kind = RecipientKind::kNode;
  std::string name;
  std::string public_key;  // base64url
  std::string sealed_key;  // base64url; "" before it is sealed
};

struct SecretSpec {
  std::string data_version;
  Json placement;                           // as of a server; null: every node
  std::map<std::string, std::string> data;  // key -> nonce and ciphertext, base64url
  std::vector<SecretRecipient> recipients;
};

// InvalidArgument for what Validate would have refused.
StatusOr<SecretSpec> DecodeSecretSpec(const Json& spec);
Json EncodeSecretSpec(const SecretSpec& spec);
// Validates and decodes: for objects that come from a store.
StatusOr<SecretSpec> SecretSpecOf(const Object& object);

// Names of the secrets, in the server's own namespace, that spec of an MCPServer refers to. Of JSON, valid or not: for
// those who only select objects.
std::set<std::string> SecretNamesOf(const Json& server_spec);

// What one field refers to.
enum class SecretUse { kEnv, kFile, kHeader, kPullSecret };
struct SecretReference {
  SecretUse use = SecretUse::kEnv;
  SecretKeyRef ref;   // of a pull secret without a key
  std::string field;  // "spec.env[TOKEN].valueFrom", for messages
};
std::vector<SecretReference> SecretReferencesOf(const ServerSpec& spec);

}  // namespace mcpfleet
