#include "store/trust_draft.h"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "store/reader.h"

namespace mcpfleet {
namespace {

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

StatusOr<TrustDraft> DraftTrust(KvClient& kv, const TrustChange& change, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(const Head current, PresentHead(kv, deadline));
  TrustDraft draft;
  if (current.order.trust > 0) {
    ASSIGN_OR_RETURN(draft.before, ReadTrust(kv, current.order.trust, deadline));
  }
  draft.next = {.fleet = current.fleet,
                .version = current.order.trust + 1,
                .roots = change.roots,
                .heads = change.heads,
                .time = FormatTime(clock.Wall()),
                .expires = change.expires};
  // Its rules, before anybody signs it.
  RETURN_IF_ERROR(EncodeTrust(draft.next).status());
  return draft;
}

StatusOr<TrustDraft> TakeUpTrust(KvClient& kv, TrustDocument next, Deadline deadline) {
  ASSIGN_OR_RETURN(const Head current, PresentHead(kv, deadline));
  if (next.fleet != current.fleet)
    return FailedPrecondition("it is of the fleet " + Printable(next.fleet, 64) + "; this is " + current.fleet);
  if (next.version != current.order.trust + 1) {
    return FailedPrecondition("it would be " + TrustKey(next.version) + ", and the next one is " +
                              TrustKey(current.order.trust + 1) + " by now; begin anew");
  }
  TrustDraft draft{.before = {}, .next = std::move(next)};
  if (current.order.trust > 0) {
    ASSIGN_OR_RETURN(draft.before, ReadTrust(kv, current.order.trust, deadline));
  }
  return draft;
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
  ASSIGN_OR_RETURN(const Head current, PresentHead(kv, deadline));
  if (current.order.trust + 1 != draft.next.version || current.fleet != draft.next.fleet)
    return Aborted("the head moved to another trust document meanwhile");
  ASSIGN_OR_RETURN(TrustDraft written, PutTrust(kv, draft, deadline));
  RETURN_IF_ERROR(CheckTrust(written));
  Head head = NextHead(current, clock);
  head.order = {written.next.version, 1, 1};
  RETURN_IF_ERROR(Annotate(MoveHead(kv, current, &head, sign, deadline), "moving the head"));
  return written.next;
}

StatusOr<TrustDocument> ChangeTrust(KvClient& kv, const TrustChange& change, const std::vector<SigningKey>& keys,
                                    const HeadSigner& sign, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(TrustDraft draft, DraftTrust(kv, change, clock, deadline));
  SignTrust(keys, &draft);
  if (const Status good = CheckTrust(draft); !good.ok()) {
    return FailedPrecondition(Message(good) +
                              ". The private keys here are not enough: mcpctl keys list shows them; others sign a file "
                              "that --out writes (mcpctl trust sign)");
  }
  return PublishTrust(kv, draft, sign, clock, deadline);
}

}  // namespace mcpfleet
