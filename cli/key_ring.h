// The private keys of this user: one file each, NAME.key, in the folder `keys` beside the contexts, mode 0600.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "store/trust/ed25519.h"

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

}  // namespace mcpfleet::cli
