// Whom a signer believes. A change keeps what it does not touch of the state that it is put on, so whoever signs the
// change signs that state too, and it must be one that nodes would follow. Here the store's head is judged as a node
// judges it (head_trust.h); what was judged so is a TrustedBase, and nothing else is signed upon (head_move.h).
//
//   HeadVerifier verifier(fingerprint, memory, clock, "where to get the fingerprint");
//   ASSIGN_OR_RETURN(TrustedBase base, verifier.Judge(kv, head, BaseFor::kChange, deadline));
//
// The store can't be asked for the root alone: who has broken into it would answer with one of his own, which names
// the keys of the signer. So a signed fleet is not signed for by who was not told its root.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/kv_client.h"
#include "store/snapshot.h"
#include "store/trust/trust.h"

namespace mcpfleet {

// What is remembered of a signed fleet from one look to the next, so that nothing older is taken again.
struct SeenTrust {
  HeadOrder head;        // the greatest that was verified; 0.0.0: none was
  std::string bytes;     // of it, with its signatures; "": not known
  std::string document;  // TrustLine of the newest trust document; "": none
};
// Whether it says more than what is remembered already: that is never lowered.
bool IsNewer(const SeenTrust& seen, const SeenTrust& before);
// Where that is kept. Null functions: nowhere. `remember` keeps what is newer (IsNewer).
struct TrustMemory {
  std::function<StatusOr<SeenTrust>()> recall;
  std::function<Status(const SeenTrust&)> remember;
};
// In a file, of one process at a time. What it holds of another root counts for nothing.
TrustMemory RememberTrustIn(const std::string& path, const std::string& root);

// What may be put on: the head of the store (or none), and the trust document that what follows is signed by.
class TrustedBase {
 public:
  // Of a fleet that is not signed: nobody can tell whose head it is, and nothing is signed upon it.
  // FailedPrecondition for a head of a signed fleet.
  static StatusOr<TrustedBase> Unsigned(std::optional<Head> head);
  // The same head, to be followed by one of the next trust document. PermissionDenied when it may not follow the one
  // of now. On an unsigned head this is the beginning of a signed fleet: the one time that a state is signed which
  // nobody can verify.
  StatusOr<TrustedBase> Under(TrustDocument next) const;

  // The same, where the store holds a head of this order, nullopt for none, that is not built on but replaced.
  TrustedBase Replacing(std::optional<HeadOrder> in_store) const;

  const std::optional<Head>& head() const { return head_; }
  // What the store must hold still when it moves.
  const std::optional<HeadOrder>& replaced() const { return replaced_; }
  // Null: the fleet is not signed.
  const TrustDocument* trust() const { return trust_ ? &*trust_ : nullptr; }
  int64_t trust_version() const { return trust_ ? trust_->version : 0; }

 private:
  friend class HeadVerifier;
  TrustedBase(std::optional<Head> head, std::optional<TrustDocument> trust)
      : head_(std::move(head)), trust_(std::move(trust)) {
    if (head_) replaced_ = head_->order;
  }
  std::optional<Head> head_;
  std::optional<HeadOrder> replaced_;
  std::optional<TrustDocument> trust_;
};

// kNewKeys: only a trust document is to follow, which is the way on from a document or a head that has expired.
enum class BaseFor { kChange, kNewKeys };

// Copies share their memory. One thread.
class HeadVerifier {
 public:
  // root: the fingerprint of trust/1, "" where none is known: then only fleets that are not signed are believed.
  // advice: how it is told, for who lacks it.
  HeadVerifier(std::string root, TrustMemory memory, const Clock& clock, std::string advice)
      : root_(std::move(root)), memory_(std::move(memory)), clock_(&clock), advice_(std::move(advice)) {}

  // The store's head, nullopt for an empty store. FailedPrecondition when it is not to be built on: not signed, by
  // the wrong keys, of another fleet or root, older than one that was seen, expired as a node means it. Unavailable:
  // the store does not show what it takes to judge. What was verified is remembered.
  StatusOr<TrustedBase> Judge(KvClient& kv, std::optional<Head> head, BaseFor use, Deadline deadline) const;
  // A head that was written down with its trust documents, the first first; it may be old. `chain` grows by what the
  // store (of trust version `newest`) and the memory have besides: what follows is signed by the last of them.
  StatusOr<TrustedBase> JudgeCopy(KvClient& kv, const Head& head, int64_t newest, std::vector<std::string>* chain,
                                  Deadline deadline) const;
  // The head that was verified last, whatever the store shows now. FailedPrecondition: none is remembered.
  StatusOr<TrustedBase> LastSeen() const;
  // After `head` was put on `base`.
  Status Remember(const TrustedBase& base, const Head& head) const;

 private:
  StatusOr<SeenTrust> Recall() const;
  StatusOr<TrustedBase> JudgeWithoutRoot(std::optional<Head> head, const SeenTrust& seen) const;

  std::string root_;
  TrustMemory memory_;
  const Clock* clock_;
  std::string advice_;
};

}  // namespace mcpfleet
