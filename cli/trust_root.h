// Whom this user follows. The store can't be asked for that: who has broken into it would answer with a root of his
// own, and with heads to sign upon. So the context has the root, from `trust init` or `config set-context
// --trust-root`, and remembers the greatest head that was verified from it on, below which none counts.
#pragma once

#include "cli/session.h"

namespace mcpfleet::cli {

// What a read is for. kToSign: a head that is not verified is refused. kToShow: the same where the context has a trust
// root; without one the store is believed, since nothing comes of it.
enum class ReadFor { kToSign, kToShow };

// The store's head, nullopt for an empty store; errors as HeadVerifier::Judge.
StatusOr<std::optional<Head>> ReadTrustedHead(Session& session, ReadFor use, Deadline deadline);

}  // namespace mcpfleet::cli
