// Changing the desired state: write what is new, then move the head in one compare-and-swap. Whatever fails in
// between, the state is the old one or the new one.
//
// In a signed fleet a change is put only on a head that its signer has verified (head_verifier.h); FailedPrecondition
// when there is none.
//
// A change says what the caller wants, not what the result is: when another writer was first, it is put on top of his
// result and tried again. A writer never reads a key that it is about to write, because the store would remember the
// miss.
//
//   ASSIGN_OR_RETURN(ApplyResult result, Apply(kv, {.set = objects}, {.message = "weather v2", .author = "ci"},
//                                              clock, Deadline::After(30s)));
//
// Errors: as KvClient; Aborted when others kept winning; InvalidArgument for an object that can't be written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crd/object.h"
#include "store/head_move.h"
#include "store/kv_client.h"
#include "store/prune.h"
#include "store/snapshot.h"

namespace mcpfleet {

// Labels, annotations and spec are replaced as given; uid, generation and creationTimestamp are assigned here,
// whatever the given objects say.
struct ChangeSet {
  std::vector<Object> set;
  std::vector<ObjectKey> remove;
  bool manifests = false;  // `set` was written by people: KeepOwnNotes of what is stored
  // Not "": the change is that of this apply set. An object of `set` or `remove` that is stored as another set's, and
  // one of `remove` that is of none, ends the change with FailedPrecondition, also when it became so just now.
  std::string apply_set;
  // `remove` is what this rule decided. On any other snapshot than the one that it was decided for it is decided anew,
  // from the whole state; Unavailable when that can't be read.
  std::optional<PruneRule> prune = std::nullopt;
};

struct WriteOptions {
  std::string message, author;
  bool dry_run = false;   // decides everything, writes nothing
  HeadSigner sign;        // who verifies what the change is put on, and signs; none: for a fleet that is not signed
  int max_attempts = 20;  // moves of the head that may be lost to others
  // Of waits and, unless it is 0, of the uids of new objects. 0: from the kernel, as any real writer must.
  uint64_t seed = 0;
};

enum class ChangeKind { kCreated, kUpdated, kUnchanged, kDeleted, kAbsent };  // kAbsent: nothing to delete
// As kubectl says it: "created", "configured", "unchanged", "deleted", "not found".
const char* WordFor(ChangeKind kind);
struct ObjectChange {
  ObjectKey key;
  ChangeKind kind = ChangeKind::kUnchanged;
  std::string uid;
  int64_t generation = 0;
};

struct ApplyResult {
  std::vector<ObjectChange> changes;  // `set` in the order given, then `remove`
  std::optional<Head> head;           // after the change; nullopt when the store is empty and stays so
  bool moved = false;                 // false: nothing had to change (or dry run)
  int attempts = 0;                   // 1 when nobody was in the way
};

StatusOr<ApplyResult> Apply(KvClient& kv, const ChangeSet& changes, const WriteOptions& options, const Clock& clock,
                            Deadline deadline);

// Makes the content of an earlier snapshot the newest again: generations go on rising, history is kept.
StatusOr<ApplyResult> Rollback(KvClient& kv, const std::string& snapshot, const WriteOptions& options,
                               const Clock& clock, Deadline deadline);

struct GcOptions {
  size_t keep_snapshots = 10;  // at least 10
  Duration keep_written = std::chrono::hours(24 * 7);
  bool dry_run = false;
};
struct GcResult {
  size_t kept = 0, deleted = 0;
};
// Deletes blobs that none of the last snapshots reaches and that were written before `keep_written` ago. A blob whose
// time of writing is not known is kept. Refuses when anything reachable can't be read.
StatusOr<GcResult> Gc(KvClient& kv, const GcOptions& options, const Clock& clock, Deadline deadline);

// The head and everything that the last `snapshots` of its history reach, as one file of JSON lines with a checksum,
// written atomically.
StatusOr<size_t> Backup(KvClient& kv, const std::string& path, size_t snapshots, Deadline deadline);

struct RestoreOptions {
  int64_t min_epoch = 0;       // the greatest epoch that the context or a node's status has shown
  bool replace_fleet = false;  // allow the store of another fleet id to be overwritten
  std::string author;
  HeadSigner sign;
};
// Verifies the whole file, in a signed fleet also that the fleet's keys signed its head, uploads it, then moves the
// head to its content with an epoch above every one seen.
StatusOr<Head> Restore(KvClient& kv, const std::string& path, const RestoreOptions& options, const Clock& clock,
                       Deadline deadline);
// The same without a file, for a signed fleet whose head somebody has replaced: the head that the signer verified last
// comes back above whatever the store shows. What it names must be there. FailedPrecondition: nothing is remembered.
StatusOr<Head> RestoreSeen(KvClient& kv, const RestoreOptions& options, const Clock& clock, Deadline deadline);

}  // namespace mcpfleet
