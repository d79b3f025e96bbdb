// The next document of a fleet's trust chain on its way into the store. ChangeTrust (head_move.h) does all of it where
// the keys are in one place; these are the steps, for keys in several.
//
// What a draft follows comes from a base that was verified: keys that are to stay would else be who holds the store's.
//
//   DraftTrust  →  SignTrust, here and elsewhere; TakeUpTrust reads it there  →  PublishTrust
#pragma once

#include <optional>
#include <vector>

#include "store/head_move.h"

namespace mcpfleet {

// The first document of a fleet's chain, or the next, which nobody has signed yet.
struct TrustDraft {
  std::optional<TrustDocument> before;  // whose roots must sign too; nullopt: it is the first
  TrustDocument next;
};
StatusOr<TrustDraft> DraftTrust(const TrustedBase& base, const TrustChange& change, const Clock& clock);
// A draft that was written down. FailedPrecondition: the fleet is another one, or its chain has moved on.
StatusOr<TrustDraft> TakeUpTrust(const TrustedBase& base, TrustDocument next);
// Adds the signatures of those of `keys` that are among the roots of either document; how many it added.
int SignTrust(const std::vector<SigningKey>& keys, TrustDraft* draft);
// OK: enough have signed. PermissionDenied says whose signatures are missing.
Status CheckTrust(const TrustDraft& draft);
// Writes a draft that enough have signed; then the head, which `sign` has verified and signs, moves to it and its
// counters begin anew. A document that an interrupted call of the same change left is taken up.
StatusOr<TrustDocument> PublishTrust(KvClient& kv, const TrustDraft& draft, const HeadSigner& sign, const Clock& clock,
                                     Deadline deadline);

}  // namespace mcpfleet
