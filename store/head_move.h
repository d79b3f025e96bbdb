// Moving the head, and signing it where the fleet is signed.
//
// A move begins with a TrustedBase (head_verifier.h): what a signer has not verified can't be given to PrepareMove, so
// no key here ever signs on top of a state that whoever holds the store has put there.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/head_verifier.h"
#include "store/kv_client.h"
#include "store/snapshot.h"
#include "store/trust/ed25519.h"
#include "store/trust/trust.h"

namespace mcpfleet {

// Who signs here, and what he is ready to sign upon. The one that is made without anything signs nothing, which is
// enough for a fleet that is not signed. Copies share their keys and memory.
class HeadSigner {
 public:
  // Asked when there is something to sign.
  using Keys = std::function<StatusOr<std::vector<SigningKey>>()>;
  HeadSigner() = default;
  HeadSigner(HeadVerifier verifier, Keys keys) : verifier_(std::move(verifier)), keys_(std::move(keys)) {}
  explicit operator bool() const { return verifier_.has_value(); }

  // What to build on: the store's head, verified; errors as HeadVerifier::Judge. A signer of nothing gets no head of a
  // signed fleet.
  StatusOr<TrustedBase> ReadBase(KvClient& kv, BaseFor use, Deadline deadline) const;
  // The same of a head that was written down; see HeadVerifier::JudgeCopy.
  StatusOr<TrustedBase> CopiedBase(KvClient& kv, const Head& head, int64_t newest, std::vector<std::string>* chain,
                                   Deadline deadline) const;
  // A signer that builds on the head that it verified last, whatever the store shows: how a fleet comes back whose head
  // somebody has replaced.
  HeadSigner OnLastSeen() const;
  // Adds the signatures of those keys that the base's trust document names. FailedPrecondition when they are too few,
  // with the keys that are expected; a head of a fleet that is not signed stays as it is.
  Status Sign(const TrustedBase& base, Head* next) const;
  // `next` was put on the base. What can't be noted is said in the log: the change is made.
  void Moved(const TrustedBase& base, const Head& next) const;

 private:
  std::optional<HeadVerifier> verifier_;
  bool on_last_seen_ = false;
  Keys keys_;
};
// With these keys.
HeadSigner SignWith(HeadVerifier verifier, std::vector<SigningKey> keys);

// The document that heads of this order are judged by; NotFound when the store does not show it.
StatusOr<TrustDocument> ReadTrust(KvClient& kv, int64_t version, Deadline deadline);

// What follows `head`: the next revision, of now, for as long as `head` was to be valid. Not signed yet.
Head NextHead(const Head& head, const Clock& clock);
// A move that is ready to be made: the bytes of a head that is signed, and what the store must hold it to.
struct HeadMove {
  std::string head;
  KvPutOptions condition;
};
// `next` must be of the base's fleet and trust document.
StatusOr<HeadMove> PrepareMove(const TrustedBase& base, Head* next, const HeadSigner& sign);
// Where the head is what the base replaces, it becomes `next`, signed. Aborted: it was another.
Status MoveHead(KvClient& kv, const TrustedBase& base, Head* next, const HeadSigner& sign, Deadline deadline);
inline std::optional<HeadOrder> OrderOf(const std::optional<Head>& head) {
  return head ? std::optional<HeadOrder>(head->order) : std::nullopt;
}

// The same content, signed again, valid for `valid` from now (zero: for ever).
StatusOr<Head> RenewHead(KvClient& kv, Duration valid, const HeadSigner& sign, const Clock& clock, Deadline deadline);

struct TrustChange {
  Signers roots, heads;
  std::string expires;  // RFC 3339, "": never
};
// The first document of a fleet's chain, or the next, signed by those of `keys` that may; then the head, which `sign`
// has verified and signs, moves to it and its counters begin anew. A document that an interrupted call of the same
// change left is taken up. FailedPrecondition when `keys` are too few.
StatusOr<TrustDocument> ChangeTrust(KvClient& kv, const TrustChange& change, const std::vector<SigningKey>& keys,
                                    const HeadSigner& sign, const Clock& clock, Deadline deadline);

}  // namespace mcpfleet
