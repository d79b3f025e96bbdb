// Whom a new node is told to follow. The store can't be asked for that alone: who has broken into it would answer with
// a root of his own. So the context remembers the root, from `trust init`, `config set-context --trust-root`, or the
// first time that it was seen.
#pragma once

#include <string>

#include "cli/session.h"
#include "store/snapshot.h"

namespace mcpfleet::cli {

// The fingerprint of trust/1, from which the chain leads to the document that `head` is signed by; "" in a fleet that
// is not signed. FailedPrecondition when that is not what the context remembers.
StatusOr<std::string> TrustRootOf(Session& session, KvClient& kv, const Head& head, Deadline deadline);

}  // namespace mcpfleet::cli
