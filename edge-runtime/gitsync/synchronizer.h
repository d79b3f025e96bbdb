// Keeps the store as one branch of a repository says: fetch, judge the signature, render, validate, apply with prune,
// say how it went. What it applied last stays in force whatever is wrong with a later commit.
//
// A step looks at everything again: an unchanged commit is applied again too, so that what somebody changed by hand
// comes back; that costs four reads of the store. One thread.
//
// Refused, and named in the conditions: a commit that nobody signed who may, a branch that does not lead on from the
// last applied commit (a force-push), manifests that are wrong, a prune beyond its limit, an object of another set.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/gitsync/repository.h"
#include "gitops/apply_set.h"
#include "gitops/sync_status.h"
#include "store/head_move.h"
#include "store/kv_client.h"
#include "store/reader.h"

namespace mcpfleet::gitsync {

struct SyncOptions {
  std::string name;       // of the apply set, and of the sync
  std::string shown_url;  // for the status
  std::string branch, path = ".";
  Duration interval = std::chrono::minutes(1);
  PruneLimit limit;
  std::string accept;     // a commit that may follow whatever was applied before
  std::string directory;  // for what is kept: status.json, and the manifests of the commit at hand
  std::string version;
};

// The store, as the sync may use it.
struct SyncStore {
  KvClient& config;
  KvClient& state;
  HeadSigner sign;
  // Asks the store which nodes are down; FailedPrecondition where it does not know.
  std::function<Status(Deadline)> ask_down;
};

enum class SyncOutcome {
  kApplied,      // the store has changed
  kUnchanged,    // it was as the branch says
  kFetchFailed,  // nothing new is known
  kNotVerified,  // the commit, or how it follows the last
  kInvalid,      // its manifests
  kRefused,      // what it would do
  kStoreFailed,
};
inline constexpr SyncOutcome kSyncOutcomes[] = {
    SyncOutcome::kApplied, SyncOutcome::kUnchanged, SyncOutcome::kFetchFailed, SyncOutcome::kNotVerified,
    SyncOutcome::kInvalid, SyncOutcome::kRefused,   SyncOutcome::kStoreFailed};
std::string ToString(SyncOutcome outcome);  // "applied", "fetch_failed", …: the label of the metric
inline bool IsGood(SyncOutcome outcome) {
  return outcome == SyncOutcome::kApplied || outcome == SyncOutcome::kUnchanged;
}

class Synchronizer {
 public:
  Synchronizer(SyncOptions options, Repository repository, SyncStore store, const Clock& clock);
  // What was kept by the last process: from the disk, or else from the store, so that a lost disk does not make a
  // force-push good. Unavailable: neither is known; then nothing may be applied.
  Status Recall(Deadline deadline);
  SyncOutcome Step(Deadline deadline);
  // After a step.
  const SyncStatus& status() const { return status_; }
  std::string message() const;  // of the condition Ready

 private:
  SyncOutcome Fetch(Deadline deadline);
  Status CheckHistory(Deadline deadline);
  SyncOutcome Deliver(Deadline deadline);
  StatusOr<std::vector<ManifestObject>> Render(Deadline deadline);
  // The desired state at a head that the signer has verified: what is planned from another one would be what whoever
  // holds the store wants.
  StatusOr<StoredState> ReadTrusted(Deadline deadline);
  SyncOutcome EndOfStore(const Status& why);
  Status CheckChange(const std::map<ObjectKey, Object>& stored, const ChangeSet& changes, Deadline deadline);
  SyncOutcome Apply(const ChangeSet& changes, Deadline deadline);
  SyncOutcome End(SyncOutcome outcome, const char* type, const char* reason, const std::string& message);
  void Set(const char* type, ConditionStatus status, const std::string& reason, const std::string& message);
  void Keep();
  void Report(Deadline deadline);

  const SyncOptions options_;
  Repository repository_;
  const SyncStore store_;
  const Clock& clock_;
  SyncStatus status_;
  std::string reported_;  // the last status that the store took, without its time
  std::string kept_;      // the same of the disk
};

}  // namespace mcpfleet::gitsync
