// The private keys of this user, in the folder `keys` beside the contexts, one file each, mode 0600: NAME.key signs
// heads and trust documents, NAME.sealing opens secrets.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "store/trust/ed25519.h"
#include "store/trust/sealing.h"

namespace mcpfleet::cli {

struct NamedKey {
  std::string name;
  SigningKey key;
};

std::string KeyDirectory();
// By name. A file that others may read, or that holds no key, is an error: a change must not be signed by fewer keys
// than its author believes.
StatusOr<std::vector<NamedKey>> LoadKeys();
std::vector<SigningKey> KeysOf(std::vector<NamedKey> named);
// AlreadyExists when there is one of that name: it is never replaced. Gives the file's path.
StatusOr<std::string> StoreKey(const std::string& name, const SigningKey& key);

struct NamedSealingKey {
  std::string name;
  SealingKey key;
};
// As LoadKeys and StoreKey.
StatusOr<std::vector<NamedSealingKey>> LoadSealingKeys();
StatusOr<std::string> StoreSealingKey(const std::string& name, const SealingKey& key);

}  // namespace mcpfleet::cli
