#include "store/head_move.h"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

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

HeadSigner SignWith(std::vector<SigningKey> keys) {
  return
      [keys = std::make_shared<std::vector<SigningKey>>(std::move(keys))](KvClient& kv, Head* head, Deadline deadline) {
        if (head->order.trust == 0) return OkStatus();
        ASSIGN_OR_RETURN(TrustDocument document, ReadTrust(kv, head->order.trust, deadline));
        const std::string text = SignedText(*head);
        SignAs(document.heads, *keys, text, &head->signatures);
        const Status enough = CheckSigners(head->signatures, document.heads, text, "head");
        return enough.ok() ? enough : TooFew(enough);
      };
}

StatusOr<HeadMove> PrepareMove(KvClient& kv, const std::optional<Head>& current, Head* next, const HeadSigner& sign,
                               Deadline deadline) {
  next->signatures = Json::array();
  if (sign) RETURN_IF_ERROR(sign(kv, next, deadline));
  if (next->order.trust > 0 && next->signatures.empty())
    return FailedPrecondition("this fleet is signed, and nothing signs here");
  HeadMove move;
  ASSIGN_OR_RETURN(move.head, EncodeHead(*next));
  if (current) {
    move.condition.if_match = ToString(current->order);
  } else {
    move.condition.if_none_match = true;
  }
  return move;
}

Status MoveHead(KvClient& kv, const std::optional<Head>& current, Head* next, const HeadSigner& sign,
                Deadline deadline) {
  ASSIGN_OR_RETURN(const HeadMove move, PrepareMove(kv, current, next, sign, deadline));
  return kv.Put(kHeadKey, move.head, move.condition, deadline);
}

StatusOr<Head> RenewHead(KvClient& kv, Duration valid, const HeadSigner& sign, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(const Head current, PresentHead(kv, deadline));
  Head next = NextHead(current, clock);
  next.valid_until = valid == Duration::zero() ? "" : FormatTime(clock.Wall() + valid);
  RETURN_IF_ERROR(Annotate(MoveHead(kv, current, &next, sign, deadline), "moving the head"));
  return next;
}

}  // namespace mcpfleet
