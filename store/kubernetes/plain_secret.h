// A core/v1 Secret: its values, in memory only, wiped when it goes. They are never written to the disk, and no message
// or status has one in it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/secret_text.h"
#include "base/status.h"

namespace mcpfleet::kube {

struct PlainSecret {
  // Names this set of values, for the revision of the servers that use it: the same on every node and after a restart,
  // and another one as soon as a value changes, whatever else of the Secret does. Keyed with the Secret's uid, which
  // only those see who may read the Secret, so that a weak value can't be guessed from a revision.
  std::string version;
  std::map<std::string, SecretText> data;
};

// InvalidArgument when data is no base64 or larger than a server can be given.
StatusOr<std::shared_ptr<const PlainSecret>> PlainSecretOf(const Json& secret);

}  // namespace mcpfleet::kube
