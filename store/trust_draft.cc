#include "store/trust_draft.h"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "store/reader.h"

namespace mcpfleet {
namespace {

std::optional<TrustDocument> BeforeOf(const TrustedBase& base) {
  return base.trust() == nullptr ? std::nullopt : std::optional<TrustDocument>(*base.trust());
}

// Puts the document where none is; when there is one already, it is the result if it says the same.
StatusOr<TrustDraft> PutTrust(KvClient& kv, const TrustDraft& draft, Deadline deadline) {
  const TrustDocument& document = draft.next;
  ASSIGN_OR_RETURN(std::string bytes, EncodeTrust(document));
  const std::string key = TrustKey(document.version);
  const Status put = kv.Put(key, bytes, {.if_none_match = true}, deadline);
  if (put.ok()) return draft;
  const StatusOr<TrustDocument> there = ReadTrust(kv, document.version, deadline);
  if (!there.ok()) return Annotate(put, key);
  const bool same = there->roots == document.roots && there->heads == document.heads &&
                    there->expires == document.expires && there->fleet == document.fleet;
  if (!same) return Aborted(key + ": there is one already, which says something else");
  return TrustDraft{.before = draft.before, .next = *there};
}

}  // namespace

StatusOr<TrustDraft> DraftTrust(const TrustedBase& base, const TrustChange& change, const Clock& clock) {
  if (!base.head()) return EmptyStore();
  TrustDraft draft{.before = BeforeOf(base), .next = {}};
  draft.next = {.fleet = base.head()->fleet,
                .version = base.trust_version() + 1,
                .roots = change.roots,
                .heads = change.heads,
                .time = FormatTime(clock.Wall()),
                .expires = change.expires};
  // Its rules, before anybody signs it.
  RETURN_IF_ERROR(EncodeTrust(draft.next).status());
  return draft;
}

StatusOr<TrustDraft> TakeUpTrust(const TrustedBase& base, TrustDocument next) {
  if (!base.head()) return EmptyStore();
  if (next.fleet != base.head()->fleet)
    return FailedPrecondition("it is of the fleet " + Printable(next.fleet, 64) + "; this is " + base.head()->fleet);
  if (next.version != base.trust_version() + 1) {
    return FailedPrecondition("it would be " + TrustKey(next.version) + ", and the next one is " +
                              TrustKey(base.trust_version() + 1) + " by now; begin anew");
  }
  return TrustDraft{.before = BeforeOf(base), .next = std::move(next)};
}

int SignTrust(const std::vector<SigningKey>& keys, TrustDraft* draft) {
  const std::string text = SignedText(draft->next);
  int added = 0;
  for (const SigningKey& key : keys) {
    const std::string& own = key.public_key();
    if (!Has(draft->next.roots, own) && !(draft->before && Has(draft->before->roots, own))) continue;
    AddSignature(&draft->next.signatures, own, key.Sign(text));
    ++added;
  }
  return added;
}

Status CheckTrust(const TrustDraft& draft) {
  return CheckSuccession(draft.before ? &*draft.before : nullptr, draft.next, Fingerprint(draft.next));
}

StatusOr<TrustDocument> PublishTrust(KvClient& kv, const TrustDraft& draft, const HeadSigner& sign, const Clock& clock,
                                     Deadline deadline) {
  // What no node would follow must not be written: the key can't be taken back.
  RETURN_IF_ERROR(CheckTrust(draft));
  ASSIGN_OR_RETURN(const TrustedBase base, sign.ReadBase(kv, BaseFor::kNewKeys, deadline));
  if (!base.head()) return EmptyStore();
  if (base.trust_version() + 1 != draft.next.version || base.head()->fleet != draft.next.fleet)
    return Aborted("the head moved to another trust document meanwhile");
  RETURN_IF_ERROR(base.Under(draft.next).status());
  ASSIGN_OR_RETURN(TrustDraft written, PutTrust(kv, draft, deadline));
  ASSIGN_OR_RETURN(const TrustedBase under, base.Under(written.next));
  Head head = NextHead(*base.head(), clock);
  head.order = {written.next.version, 1, 1};
  RETURN_IF_ERROR(Annotate(MoveHead(kv, under, &head, sign, deadline), "moving the head"));
  return written.next;
}

StatusOr<TrustDocument> ChangeTrust(KvClient& kv, const TrustChange& change, const std::vector<SigningKey>& keys,
                                    const HeadSigner& sign, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(const TrustedBase base, sign.ReadBase(kv, BaseFor::kNewKeys, deadline));
  ASSIGN_OR_RETURN(TrustDraft draft, DraftTrust(base, change, clock));
  SignTrust(keys, &draft);
  if (const Status good = CheckTrust(draft); !good.ok()) {
    return FailedPrecondition(Message(good) +
                              ". The private keys here are not enough: mcpctl keys list shows them; others sign a file "
                              "that --out writes (mcpctl trust sign)");
  }
  return PublishTrust(kv, draft, sign, clock, deadline);
}

}  // namespace mcpfleet
