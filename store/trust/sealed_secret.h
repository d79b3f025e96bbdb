// What an MCPSecret is sealed with. Each value is encrypted once with the secret's data key (XChaCha20-Poly1305); the
// data key is sealed (sealing.h) to each node and operator that may open it. So another node can be let in by whoever
// can open the data key, without the values.
//
// Bound into every value: namespace, name, dataVersion and its key. Bound into every sealed data key: namespace, name,
// dataVersion and the recipient's public key. Nothing can be moved to another secret, version, key or recipient.
// That it was made by somebody who may make it is not said here: the signature of the head says it.
//
//   ASSIGN_OR_RETURN(SecretSpec spec, SealSecret({"default", "github"}, values, recipients));
//   ASSIGN_OR_RETURN(DataKey key, OpenDataKey({"default", "github"}, spec, sealing_key));
//   ASSIGN_OR_RETURN(SecretText token, OpenValue({"default", "github"}, spec, key, "token"));
//
// Pure but for random bytes. No message contains a value or a key.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret_text.h"
#include "base/status.h"
#include "crd/secret_spec.h"
#include "store/trust/sealing.h"

namespace mcpfleet {

struct SecretName {
  std::string namespace_, name;
};

// What all values of one version of a secret are encrypted with.
class DataKey {
 public:
  explicit DataKey(SecretText bytes) : bytes_(std::move(bytes)) {}
  std::string_view bytes() const { return bytes_.view(); }

 private:
  SecretText bytes_;
};

// With a new data key and dataVersion. `recipients` name whom to seal to; their sealed_key is made here.
// InvalidArgument names the bound that a value exceeds, or the recipient whose key is none.
StatusOr<SecretSpec> SealSecret(const SecretName& of, const std::map<std::string, SecretText>& values,
                                const std::vector<SecretRecipient>& recipients);

// NotFound: it is not sealed to this key. PermissionDenied: it is, and was altered or belongs to another secret.
StatusOr<DataKey> OpenDataKey(const SecretName& of, const SecretSpec& spec, const SealingKey& key);

// NotFound: there is no such key. PermissionDenied: the value was altered or belongs elsewhere.
StatusOr<SecretText> OpenValue(const SecretName& of, const SecretSpec& spec, const DataKey& data_key,
                               std::string_view key);

// The same values and dataVersion, sealed to exactly these recipients.
StatusOr<SecretSpec> SealTo(const SecretName& of, const SecretSpec& spec, const DataKey& data_key,
                            const std::vector<SecretRecipient>& recipients);

// Whether the secret is sealed to this public key, by what it says of itself.
bool IsRecipient(const SecretSpec& spec, std::string_view public_key);

}  // namespace mcpfleet
