// Opens secrets with this node's key, which `mcplet join` puts into <stateDirectory>/identity/sealing-key: 43
// characters of base64url, mode 0600. Whether a server's references can be opened is decided when its desired state
// arrives; the values are opened again each time that something is started with them, and not kept. Secrets of core/v1
// are not sealed and need no key.
//
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "controller/ports/secrets.h"
#include "crd/object.h"
#include "crd/server_spec.h"
#include "store/kubernetes/plain_secret.h"
#include "store/trust/sealing.h"

namespace mcpfleet {

// A secret as the sync loop has it.
struct HeldSecret {
  std::shared_ptr<const Object> object;  // null: none that can be used
  std::string mismatch;                  // why, when there is one
  // One of Kubernetes itself instead, which is not sealed: mcplet has its values in memory.
  std::shared_ptr<const kube::PlainSecret> plain;
  bool unread = false;     // it has not been looked at yet
  bool forbidden = false;  // Kubernetes does not let this node look; `mismatch` says why
  bool operator==(const HeldSecret&) const = default;
};

class SecretKeeper {
 public:
  explicit SecretKeeper(std::string key_file) : key_file_(std::move(key_file)) {}

  // Reads the file again. True when it says something else than before.
  bool Reload() LOCKS_EXCLUDED(mu_);
  // The key's public half, "" without a key.
  std::string public_key() const LOCKS_EXCLUDED(mu_);

  struct Resolved {
    std::string reason, message;  // "" when all references can be opened
    // Of what the instance is made with: other ones are another revision. "" when it refers to nothing.
    std::string versions;
    std::string pull_version;  // of source.image.pullSecret
    std::shared_ptr<const SecretSource> source;
  };
  // `secrets`: those of the namespace, by name.
  Resolved Resolve(const std::string& namespace_, const ServerSpec& spec,
                   const std::map<std::string, HeldSecret>& secrets) const LOCKS_EXCLUDED(mu_);

 private:
  const std::string key_file_;
  mutable Mutex mu_;
  std::shared_ptr<const SealingKey> key_ GUARDED_BY(mu_);  // null: none
  std::string problem_ GUARDED_BY(mu_);                    // why there is none
};

}  // namespace mcpfleet
