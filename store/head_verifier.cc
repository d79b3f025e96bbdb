#include "store/head_verifier.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "store/head_trust.h"

namespace mcpfleet {
namespace {

constexpr size_t kMemoryBytes = 8 * kTrustBytes;

// A refusal is about what the store shows, not about the caller's rights there.
Status Refused(const Status& why) {
  if (why.code() != StatusCode::kPermissionDenied) return why;
  return FailedPrecondition(
      "what the store shows is not to be built on: " + Message(why) +
      ". Who holds the store may have changed it; when it is yours again: mcpctl store restore, of a "
      "backup or --last-seen");
}

StatusOr<std::string> ReadDocument(KvClient& kv, int64_t version, Deadline deadline) {
  StatusOr<std::optional<KvValue>> value = kv.Get(TrustKey(version), deadline);
  if (!value.ok()) return Annotate(value.status(), TrustKey(version));
  if (!*value) return Unavailable(TrustKey(version) + " is not there (yet)");
  return std::move((*value)->value);
}

Status NotTheSame(const Head& head, const SeenTrust& seen) {
  const std::string order = "head " + ToString(head.order);
  if (head.order < seen.head) {
    return FailedPrecondition(order + " is older than " + ToString(seen.head) +
                              ", which was seen here: a cache's answer, or somebody plays back an old state. Try again "
                              "in two minutes; a store that lost its newest state is brought on by: mcpctl store "
                              "restore");
  }
  const StatusOr<Head> last = ParseHead(seen.bytes);
  if (last.ok() && last->order == head.order && last->snapshot != head.snapshot) {
    return FailedPrecondition(order + " is of snapshot " + head.snapshot.substr(0, 12) + ", and one of " +
                              last->snapshot.substr(0, 12) +
                              " was seen here under the same number: two writers at once, or somebody changed the "
                              "store");
  }
  return OkStatus();
}

}  // namespace

// ---- the base

StatusOr<TrustedBase> TrustedBase::Unsigned(std::optional<Head> head) {
  if (head && head->order.trust > 0) return FailedPrecondition("this fleet is signed, and nothing signs here");
  return TrustedBase(std::move(head), std::nullopt);
}

StatusOr<TrustedBase> TrustedBase::Under(TrustDocument next) const {
  if (!head_) return FailedPrecondition("the store is empty: apply something first");
  if (next.fleet != head_->fleet) return PermissionDenied(TrustKey(next.version) + ": of another fleet than the head");
  RETURN_IF_ERROR(CheckSuccession(trust(), next, Fingerprint(next)));
  TrustedBase under = *this;
  under.trust_ = std::move(next);
  return under;
}

TrustedBase TrustedBase::Replacing(std::optional<HeadOrder> in_store) const {
  TrustedBase base = *this;
  base.replaced_ = in_store;
  return base;
}

// ---- the judge

StatusOr<SeenTrust> HeadVerifier::Recall() const {
  return memory_.recall == nullptr ? StatusOr<SeenTrust>(SeenTrust{}) : memory_.recall();
}

Status HeadVerifier::Remember(const TrustedBase& base, const Head& head) const {
  if (root_.empty() || base.trust() == nullptr || memory_.remember == nullptr) return OkStatus();
  ASSIGN_OR_RETURN(std::string bytes, EncodeHead(head));
  return memory_.remember({head.order, std::move(bytes), TrustLine(root_, *base.trust())});
}

StatusOr<TrustedBase> HeadVerifier::JudgeWithoutRoot(std::optional<Head> head, const SeenTrust& seen) const {
  if (head && head->order.trust > 0) {
    return FailedPrecondition(
        "this fleet is signed, and its trust root is not known here; the store can't be asked for it, since who has "
        "broken into it would name his own. " +
        advice_);
  }
  if (seen.head.trust > 0) {
    return FailedPrecondition(
        "the store shows a fleet that is not signed, and a signed one was seen here: somebody may have changed the "
        "store. One that was made anew wants a new context");
  }
  return TrustedBase::Unsigned(std::move(head));
}

StatusOr<TrustedBase> HeadVerifier::Judge(KvClient& kv, std::optional<Head> head, BaseFor use,
                                          Deadline deadline) const {
  ASSIGN_OR_RETURN(const SeenTrust seen, Recall());
  if (root_.empty()) return JudgeWithoutRoot(std::move(head), seen);
  if (!head) {
    return FailedPrecondition("the store is empty, and a signed fleet of the trust root " + root_ +
                              " is expected; mcpctl store restore brings back a backup");
  }
  if (head->order.trust > 0) RETURN_IF_ERROR(NotTheSame(*head, seen));
  HeadTrust trust(root_);
  trust.Load(seen.document);
  while (const std::optional<int64_t> version = trust.Needed(*head)) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadDocument(kv, *version, deadline));
    if (const Status taken = trust.Take(bytes); !taken.ok()) return Refused(taken);
  }
  // What has expired is judged as of the time when nothing had.
  const bool keys_only = use == BaseFor::kNewKeys;
  const bool first = seen.head == HeadOrder{} && !keys_only;
  const Status judged = trust.Judge(*head, first, keys_only ? WallTime::min() : clock_->Wall());
  if (!judged.ok()) return Refused(judged);
  const TrustedBase base(std::move(head), *trust.document());
  RETURN_IF_ERROR(Remember(base, *base.head()));
  return base;
}

StatusOr<TrustedBase> HeadVerifier::JudgeCopy(KvClient& kv, const Head& head, int64_t newest,
                                              std::vector<std::string>* chain, Deadline deadline) const {
  ASSIGN_OR_RETURN(const SeenTrust seen, Recall());
  if (root_.empty()) {
    Head greatest = head;
    greatest.order.trust = std::max(head.order.trust, newest);
    RETURN_IF_ERROR(JudgeWithoutRoot(greatest, seen).status());
    return TrustedBase::Unsigned(head);
  }
  HeadTrust trust(root_);
  while (const std::optional<int64_t> version = trust.Needed(head)) {
    if (static_cast<int64_t>(chain->size()) < *version) return InvalidArgument("it lacks " + TrustKey(*version));
    if (const Status taken = trust.Take(chain->at(static_cast<size_t>(*version) - 1)); !taken.ok())
      return Refused(taken);
  }
  if (const Status judged = trust.Judge(head, false, WallTime::min()); !judged.ok()) return Refused(judged);
  // From there on to the newest document, or nodes that have it would follow nothing of this.
  HeadTrust held(root_);
  held.Load(seen.document);
  const int64_t held_version = held.document() == nullptr ? 0 : held.document()->version;
  Head goal = head;
  goal.order.trust = std::max({newest, held_version, seen.head.trust, static_cast<int64_t>(chain->size())});
  while (const std::optional<int64_t> version = trust.Needed(goal)) {
    StatusOr<std::string> bytes = static_cast<int64_t>(chain->size()) >= *version
                                      ? StatusOr<std::string>(chain->at(static_cast<size_t>(*version) - 1))
                                  : held_version == *version ? EncodeTrust(*held.document())
                                                             : ReadDocument(kv, *version, deadline);
    RETURN_IF_ERROR(bytes.status());
    if (const Status taken = trust.Take(*bytes); !taken.ok()) return Refused(taken);
    if (static_cast<int64_t>(chain->size()) < *version) chain->push_back(*std::move(bytes));
  }
  return TrustedBase(head, *trust.document());
}

StatusOr<TrustedBase> HeadVerifier::LastSeen() const {
  ASSIGN_OR_RETURN(const SeenTrust seen, Recall());
  StatusOr<Head> head = ParseHead(seen.bytes);
  HeadTrust trust(root_);
  trust.Load(seen.document);
  if (root_.empty() || !head.ok() || trust.document() == nullptr)
    return FailedPrecondition("no signed head was seen here, or none is remembered");
  if (const Status judged = trust.Judge(*head, false, WallTime::min()); !judged.ok()) return Refused(judged);
  return TrustedBase(*std::move(head), *trust.document());
}

// ---- the memory

bool IsNewer(const SeenTrust& seen, const SeenTrust& before) {
  if (seen.head != before.head) return seen.head > before.head;
  return before.document.empty() || before.bytes.empty();  // an order alone was known
}

TrustMemory RememberTrustIn(const std::string& path, const std::string& root) {
  const auto recall = [path, root]() -> StatusOr<SeenTrust> {
    StatusOr<std::string> text = ReadFile(path, kMemoryBytes);
    if (text.status().code() == StatusCode::kNotFound) return SeenTrust{};
    RETURN_IF_ERROR(text.status());
    // Damaged, it must not count as a first look.
    StatusOr<Json> json = ParseJson(*text);
    if (!json.ok()) return Annotate(json.status(), path);
    if (GetString(*json, "root") != root) return SeenTrust{};
    StatusOr<HeadOrder> head = ParseHeadOrder(GetString(*json, "head"));
    if (!head.ok()) return Annotate(head.status(), path);
    return SeenTrust{*head, GetString(*json, "signed"), GetString(*json, "trust")};
  };
  const auto remember = [path, root, recall](const SeenTrust& seen) -> Status {
    ASSIGN_OR_RETURN(const SeenTrust before, recall());
    if (!IsNewer(seen, before)) return OkStatus();
    const Json json = {{"root", root}, {"head", ToString(seen.head)}, {"signed", seen.bytes}, {"trust", seen.document}};
    return WriteFileAtomically(path, DumpJson(json) + "\n", 0600);
  };
  return {recall, remember};
}

}  // namespace mcpfleet
