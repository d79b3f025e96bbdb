// Moving the head, and signing it where the fleet is signed.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/kv_client.h"
#include "store/snapshot.h"
#include "store/trust/ed25519.h"
#include "store/trust/trust.h"

namespace mcpfleet {

// Adds signatures to a head that is complete but for them. An error ends the change: nothing was moved.
using HeadSigner = std::function<Status(KvClient& kv, Head* head, Deadline deadline)>;

// Signs with those of `keys` that the head's trust document names. FailedPrecondition when they are too few, with the
// keys that are expected; a head of a fleet that is not signed stays as it is.
HeadSigner SignWith(std::vector<SigningKey> keys);
// The document that heads of this order are judged by; NotFound when the store does not show it.
StatusOr<TrustDocument> ReadTrust(KvClient& kv, int64_t version, Deadline deadline);

// What follows `head`: the next revision, of now, for as long as `head` was to be valid. Not signed yet.
Head NextHead(const Head& head, const Clock& clock);
// A move that is ready to be made: the bytes of a head that is signed, and what the store must hold it to.
struct HeadMove {
  std::string head;
  KvPutOptions condition;
};
StatusOr<HeadMove> PrepareMove(KvClient& kv, const std::optional<Head>& current, Head* next, const HeadSigner& sign,
                               Deadline deadline);
// Where the head is `current` (nullopt: where there is none), it becomes `next`, signed. Aborted: it was another.
Status MoveHead(KvClient& kv, const std::optional<Head>& current, Head* next, const HeadSigner& sign,
                Deadline deadline);

// The same content, signed again, valid for `valid` from now (zero: for ever).
StatusOr<Head> RenewHead(KvClient& kv, Duration valid, const HeadSigner& sign, const Clock& clock, Deadline deadline);

struct TrustChange {
  Signers roots, heads;
  std::string expires;  // RFC 3339, "": never
};
// The first document of a fleet's chain, or the next, signed by those of `keys` that may; then the head, signed by
// `sign`, moves to it and its counters begin anew. A document that an interrupted call of the same change left is
// taken up. FailedPrecondition when `keys` are too few.
StatusOr<TrustDocument> ChangeTrust(KvClient& kv, const TrustChange& change, const std::vector<SigningKey>& keys,
                                    const HeadSigner& sign, const Clock& clock, Deadline deadline);

}  // namespace mcpfleet
