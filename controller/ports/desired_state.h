// The verified desired state for this node.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "controller/ports/secrets.h"
#include "crd/object.h"
#include "crd/server_spec.h"

namespace mcpfleet {

// One server placed on this node. `rejected` set: the object can't be run here (its spec is then not to be used).
// `unresolved` set: a secret that it refers to can't be used here; nothing of this version is started.
struct DesiredServer {
  ServerKey key;
  std::string uid;
  int64_t generation = 0;
  Labels labels;
  std::string revision;
  ServerSpec spec;
  std::string rejected_reason, rejected_message;  // Accepted=False: ForbiddenByNode, UnsupportedField, InvalidSpec …
  bool pending = false;                           // Accepted=Unknown, ObjectPending: spec is the previous version's
  std::string unresolved_reason, unresolved_message;  // ResolvedRefs=False: SecretNotFound, SecretKeyMissing …
  // Opens what the spec refers to. Null when it refers to nothing, and of a version that this mcplet never saw.
  std::shared_ptr<const SecretSource> secrets;
  std::string pull_secret_version;  // of source.image.pullSecret; another one is worth another try to pull
};

struct DesiredSnapshot {
  std::string head;      // "trust.epoch.revision"; "" before the first one was ever accepted
  std::string snapshot;  // its hash
  MonoTime seen_at{};    // when the head was first seen: start of convergence_seconds
  // False while removals must wait for pending keys: servers that are absent are then kept as they are.
  bool removals_allowed = false;
  std::map<ServerKey, std::shared_ptr<const DesiredServer>> servers;
};

class DesiredState {
 public:
  virtual ~DesiredState() = default;
  // Never null; the latest accepted state. Cheap. Thread-safe.
  virtual std::shared_ptr<const DesiredSnapshot> Current() const = 0;
};

}  // namespace mcpfleet
