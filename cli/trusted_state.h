// The desired state for decisions that a hostile store must not make for us: what is changed and signed, and whom a
// secret is sealed to. In a signed fleet its head is verified as nodes do it (trust_root.h). A fleet that is not signed
// is believed: whoever can write its store can name nodes.
#pragma once

#include "base/status.h"
#include "cli/session.h"
#include "cli/trust_root.h"
#include "store/reader.h"

namespace mcpfleet::cli {

// FailedPrecondition: the head is not to be built on. Unavailable: the store does not show what it takes.
StatusOr<StoredState> ReadTrustedState(Session& session, Deadline deadline, ReadFor use = ReadFor::kToSign);

}  // namespace mcpfleet::cli
