#include "store/head_move.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "store/reader.h"

namespace mcpfleet {
namespace {

Status TooFew(const Status& why) {
  return FailedPrecondition(Message(why) + ". The private keys here are not enough: mcpctl keys list shows them");
}

// With those of `keys` that are among the signers.
void SignAs(const Signers& signers, const std::vector<SigningKey>& keys, std::string_view text, Json* signatures) {
  for (const SigningKey& key : keys) {
    if (Has(signers, key.public_key())) AddSignature(signatures, key.public_key(), key.Sign(text));
  }
}

}  // namespace

StatusOr<TrustDocument> ReadTrust(KvClient& kv, int64_t version, Deadline deadline) {
  ASSIGN_OR_RETURN(auto value, kv.Get(TrustKey(version), deadline));
  if (!value) return NotFound(TrustKey(version) + " is not in the store");
  StatusOr<TrustDocument> document = ParseTrust(value->value);
  if (!document.ok()) return Annotate(document.status(), TrustKey(version));
  if (document->version != version) return InvalidArgument(TrustKey(version) + ": holds another version");
  return document;
}

Head NextHead(const Head& head, const Clock& clock) {
  Head next = head;
  ++next.order.revision;
  next.time = FormatTime(clock.Wall());
  const StatusOr<WallTime> time = ParseTime(head.time), until = ParseTime(head.valid_until);
  if (time.ok() && until.ok()) next.valid_until = FormatTime(clock.Wall() + (*until - *time));
  next.signatures = Json::array();
  return next;
}

StatusOr<TrustedBase> HeadSigner::ReadBase(KvClient& kv, BaseFor use, Deadline deadline) const {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  if (on_last_seen_) {
    if (!verifier_) return FailedPrecondition("nothing is remembered here");
    ASSIGN_OR_RETURN(const TrustedBase base, verifier_->LastSeen());
    return base.Replacing(OrderOf(head));
  }
  return verifier_ ? verifier_->Judge(kv, std::move(head), use, deadline) : TrustedBase::Unsigned(std::move(head));
}

StatusOr<TrustedBase> HeadSigner::CopiedBase(KvClient& kv, const Head& head, int64_t newest,
                                             std::vector<std::string>* chain, Deadline deadline) const {
  if (verifier_) return verifier_->JudgeCopy(kv, head, newest, chain, deadline);
  Head greatest = head;
  greatest.order.trust = std::max(head.order.trust, newest);
  RETURN_IF_ERROR(TrustedBase::Unsigned(greatest).status());
  return TrustedBase::Unsigned(head);
}

HeadSigner HeadSigner::OnLastSeen() const {
  HeadSigner signer = *this;
  signer.on_last_seen_ = true;
  return signer;
}

Status HeadSigner::Sign(const TrustedBase& base, Head* next) const {
  if (base.trust() == nullptr) return OkStatus();
  if (keys_ == nullptr) return FailedPrecondition("this fleet is signed, and nothing signs here");
  ASSIGN_OR_RETURN(const std::vector<SigningKey> keys, keys_());
  const std::string text = SignedText(*next);
  SignAs(base.trust()->heads, keys, text, &next->signatures);
  const Status enough = CheckSigners(next->signatures, base.trust()->heads, text, "head");
  return enough.ok() ? enough : TooFew(enough);
}

void HeadSigner::Moved(const TrustedBase& base, const Head& next) const {
  const Status noted = verifier_ ? verifier_->Remember(base, next) : OkStatus();
  if (!noted.ok()) LOG_WARNING("the new head is not remembered here", {{"error", noted}});
}

HeadSigner SignWith(HeadVerifier verifier, std::vector<SigningKey> keys) {
  const auto shared = std::make_shared<std::vector<SigningKey>>(std::move(keys));
  return HeadSigner(std::move(verifier), [shared]() -> StatusOr<std::vector<SigningKey>> {
    std::vector<SigningKey> copies;
    for (const SigningKey& key : *shared) {
      ASSIGN_OR_RETURN(SigningKey copy, SigningKey::FromSeed(key.Seed()));
      copies.push_back(std::move(copy));
    }
    return copies;
  });
}

StatusOr<HeadMove> PrepareMove(const TrustedBase& base, Head* next, const HeadSigner& sign) {
  if (next->order.trust != base.trust_version())
    return Internal("head " + ToString(next->order) + " is not of trust/" + std::to_string(base.trust_version()));
  if (base.head() && next->fleet != base.head()->fleet) return Internal("a head is not of the fleet of its base");
  next->signatures = Json::array();
  RETURN_IF_ERROR(sign.Sign(base, next));
  HeadMove move;
  ASSIGN_OR_RETURN(move.head, EncodeHead(*next));
  if (base.replaced()) {
    move.condition.if_match = ToString(*base.replaced());
  } else {
    move.condition.if_none_match = true;
  }
  return move;
}

Status MoveHead(KvClient& kv, const TrustedBase& base, Head* next, const HeadSigner& sign, Deadline deadline) {
  ASSIGN_OR_RETURN(const HeadMove move, PrepareMove(base, next, sign));
  RETURN_IF_ERROR(kv.Put(kHeadKey, move.head, move.condition, deadline));
  sign.Moved(base, *next);
  return OkStatus();
}

StatusOr<Head> RenewHead(KvClient& kv, Duration valid, const HeadSigner& sign, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(const TrustedBase base, sign.ReadBase(kv, BaseFor::kChange, deadline));
  if (!base.head()) return EmptyStore();
  Head next = NextHead(*base.head(), clock);
  next.valid_until = valid == Duration::zero() ? "" : FormatTime(clock.Wall() + valid);
  RETURN_IF_ERROR(Annotate(MoveHead(kv, base, &next, sign, deadline), "moving the head"));
  return next;
}

}  // namespace mcpfleet
