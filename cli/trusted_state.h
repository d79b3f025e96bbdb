// The desired state for decisions that a hostile store must not make for us: whom a secret is sealed to. In a signed
// fleet its head must be signed as the trust root that the context remembers leads to (trust_root.h). A fleet that is
// not signed is believed: whoever can write its store can name nodes.
#pragma once

#include "base/status.h"
#include "cli/session.h"
#include "store/reader.h"

namespace mcpfleet::cli {

// FailedPrecondition, PermissionDenied: the head is not signed so. Unavailable: the store does not show all of it.
StatusOr<StoredState> ReadTrustedState(Session& session, Deadline deadline);

}  // namespace mcpfleet::cli
