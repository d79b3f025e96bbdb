// The node's side of the desired state: follows the head and holds what is placed on this node.
//
// Order is (trust, epoch, revision) and only ever grows. Anything that is not a newer, well-formed head of this fleet
// is no news: the last accepted state stays. A referenced key that is missing is pending and asked for again after 5,
// 15, 35, 65, 130 s, then every 5 min; until it is there the previous version of its object stays in force.
// A head that was never accepted because the store does not show its snapshot is given up after 8 min. A pushed head
// that is none is counted, and the store asked again for its own as after a read that failed.
//
// A server with replicas is here while ReplicaHolder says so: by the MCPNode objects of the whole fleet, which are read
// only when such a server matches this node, and by the list of down nodes: from SetDown and SetConnected or, while
// they say that there is no connection, read with each poll. Without a list it takes none.
//
// Boot, Step and next_due belong to one thread; Offer, OfferValues, SetDown, SetConnected, SetPolling, CountBadAnswer,
// state and stats may be called from any.
//
//   sync.Boot();                       // offline: the last good state
//   for (;;) { sync.Step(); wait until sync.next_due() or Offer; }
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/placement/place.h"
#include "controller/placement/replica_holder.h"
#include "crd/object.h"
#include "store/down_list.h"
#include "store/head_trust.h"
#include "store/kv_client.h"
#include "store/local_cache.h"
#include "store/snapshot.h"

namespace mcpfleet {

// One object that this node needs.
struct SyncedObject {
  ShardEntry entry;
  // The version in force: of `entry`, or while that is pending (or disagrees) the one before it; null when there is
  // none.
  std::shared_ptr<const Object> object;
  bool pending = false;  // Accepted=Unknown, ObjectPending
  std::string mismatch;  // Accepted=False, EntryMismatch: what disagrees
};

// Immutable once published.
struct AcceptedState {
  std::optional<Head> head;  // nullopt: none was ever accepted
  MonoTime seen_at{};        // when that head was first seen
  // Servers placed on this node, the secrets that they refer to, and its own MCPNode. What is absent here is to be
  // removed, but only when allowed:
  std::map<ObjectKey, SyncedObject> objects;
  // False while keys of this snapshot are pending, for 5 min at most.
  bool removals_allowed = false;
  bool unschedulable = false;  // this node takes nothing new
  size_t entries = 0;          // objects in the whole fleet
};

struct SyncStats {
  int64_t reads = 0;              // requests to the store
  int64_t read_bytes = 0;         // of values received
  int64_t pushed_values = 0;      // that needed no read
  int64_t stale_heads = 0;        // lower than accepted: a cache's answer
  int64_t conflicting_heads = 0;  // equal order, another snapshot: an alarm
  int64_t foreign_heads = 0;      // of another fleet
  int64_t untrusted_heads = 0;    // not signed as this node was told: refused
  std::string distrust;           // why the last head was refused; "": it was not
  int64_t bad_answers = 0;        // malformed or with a wrong hash, pushed ones too
  std::string bad_answer;         // why the last of them was one; "": there was none
  MonoTime bad_answer_at{};
  int64_t failed_reads = 0;
  int64_t pending_keys = 0;
  MonoTime last_success{};  // of a poll of the head
};

struct HeadSyncOptions {
  std::string node;  // "": no placement, every object is wanted
  Duration poll_interval = std::chrono::seconds(10);
  Duration request_timeout = std::chrono::seconds(20);
  Duration removal_grace = std::chrono::minutes(5);
  int object_batches_per_step = 8;
  // A fleet id from a join token; "": that of the first head.
  std::string fleet;
  // The fingerprint of trust/1, "" in a fleet that is not signed. A node that has one follows signed heads only.
  std::string trust_root;
  HeadOrder minimum;                        // a node without history refuses lower heads
  std::function<WallTime()> now = nullptr;  // for expiry; null: the clock's
  // Asks the store's host which nodes are down; null: it can't be asked.
  std::function<StatusOr<DownList>(Deadline)> read_down = nullptr;
};

class HeadSync {
 public:
  HeadSync(KvClient& kv, LocalCache& cache, const Clock& clock, uint64_t seed, HeadSyncOptions options);

  // The last state on disk. OK when there is none or it is damaged; FailedPrecondition when it is another fleet's.
  Status Boot();
  // What is due now, bounded: at most one head, one snapshot, one lot of shards, some lots of objects. The status is
  // for the log and the condition StoreReachable; the state stays good whatever it says.
  Status Step();
  // When Step has something to do next.
  MonoTime next_due() const;

  // A head that was pushed: looked at by the next Step, which is due at once.
  void Offer(std::string_view head_json);
  // Immutable values that came before the head that needs them: they are taken instead of a read when their hash is
  // asked for, and forgotten with the next ones. Those above 1 MiB together are left out.
  void OfferValues(const std::vector<std::string>& values);
  // The list of down nodes as the store's host told it, and whether there is a connection to it: as they come, the next
  // Step looks at them and is due at once.
  void SetDown(const DownList& list);
  void SetConnected(bool connected);

  // From now on the head is read at a random time between these two after the last look; before, poll_interval and a
  // tenth more or less. After a read that failed it is poll_interval again, if that is sooner.
  void SetPolling(Duration least, Duration most);

  // Something else that the store said was not as it should be.
  void CountBadAnswer(const Status& why) LOCKS_EXCLUDED(mu_);

  // Never null.
  std::shared_ptr<const AcceptedState> state() const;
  SyncStats stats() const;

 private:
  struct Missing {
    MonoTime since{}, next{};
    int attempts = 0;
  };
  // The last version of a node that was here.
  struct SeenNode {
    std::string hash;
    PlacementNode node;
  };
  Status PollHead();
  void PollSooner();
  void PollDown(bool reachable);
  Status ReadHead();
  // `is_target`: whether it is the head that is followed.
  Status ConsiderHead(std::string_view bytes, bool* is_target = nullptr);
  Duration DrawnPoll();
  bool TargetIsLost(const Head& head) const;
  // False: refused, which `distrust` tells; an error: the store did not give what it takes to judge.
  StatusOr<bool> Trusts(const Head& head);
  Status WalkTrust(const Head& head);
  void Follow(Head head);
  // The snapshot and the shards of target_, when they are due; true once all of them are here.
  StatusOr<bool> FetchIndex();
  Status FetchSnapshot();
  Status FetchShards();
  Status FetchObjects();
  Status TakeObject(const std::string& key, const std::string& bytes);
  Status KeepBlob(const std::string& key, const std::string& bytes);
  StatusOr<std::map<std::string, std::string>> Read(std::vector<std::string> keys);
  // Those of the keys that were pushed; `keys` keeps the others.
  std::map<std::string, std::string> TakeOffered(std::vector<std::string>* keys);
  std::vector<std::string> DueOf(const std::vector<std::string>& keys) const;
  void MarkMissing(const std::string& key);
  Status RetryLater(Status status);

  // Object keys that are wanted and not here; the node's own MCPNode alone while it was never asked for, because the
  // rest depends on its labels.
  std::vector<std::string> WantedObjects();
  std::shared_ptr<const Object> LoadObject(const std::string& hash);
  const ShardEntry* OwnNode() const;
  std::shared_ptr<const Object> OwnNodeObject();
  const ShardEntry* FindEntry(const ObjectKey& key) const;
  // Whether the secrets that a server refers to are here, as far as the snapshot has them: it is adopted with them.
  bool SecretsAreHere(const Object& server);
  // Which entries of the snapshot in force this node matches, and which of them are for it. `fn` gets each.
  template <typename Fn>
  void ForEachMatching(Fn fn);
  template <typename Fn>
  void ForEachPlaced(Fn fn);
  // Decides anew which servers with replicas are here.
  void DecideReplicas();
  // False while a node of the snapshot was never asked for.
  bool LookAtNodes();
  // What a node with the labels placed_for_ takes of a shard that is here, cordoned or not.
  const std::vector<const ShardEntry*>& PlacedIn(const std::string& shard);
  void Adopt();   // decides what is in force
  Status Save();  // before it is published: a restart must not show an older state than was seen
  void Publish();
  void PublishFromDisk(const Head& head);
  void DropUnused();
  void Count(int64_t SyncStats::*counter, int64_t by = 1) LOCKS_EXCLUDED(mu_);

  KvClient& kv_;
  LocalCache& cache_;
  const Clock& clock_;
  const HeadSyncOptions options_;

  // Of the thread that steps.
  std::mt19937_64 rng_;
  std::string fleet_;
  HeadTrust trust_;
  std::optional<Head> target_;  // the greatest head seen
  MonoTime target_seen_{};
  std::optional<Snapshot> snapshot_;                                        // of target_, once here
  std::map<std::string, std::shared_ptr<const Shard>> shards_;              // by hash
  std::unordered_map<std::string, std::shared_ptr<const Object>> objects_;  // by hash
  std::map<std::string, std::vector<const ShardEntry*>> placed_;  // PlacedIn, by shard: snapshots share most of them
  Labels placed_for_;
  ReplicaHolder holder_;
  DownNews down_;
  PlacementNodes nodes_;
  std::map<std::string, SeenNode> seen_nodes_;  // by name
  std::vector<std::string> missing_nodes_;      // object keys of nodes that are not here
  std::set<ObjectKey> replicas_;                // the servers with replicas that are to be here
  std::set<ObjectKey> shown_replicas_;          // as of the last publication
  std::string down_failure_;                    // why the list could not be read; "": it was
  std::map<ObjectKey, std::string> in_force_;   // the hash in force of each object placed here
  std::map<std::string, Missing> missing_;      // by store key
  std::map<std::string, std::string> bad_;      // objects that are here and disagree, by hash: why
  MonoTime next_poll_{}, retry_at_{};
  Duration poll_least_, poll_most_;
  std::string etag_;                      // of the head that is followed, as the store names it; "": it has not said
  MonoTime grace_end_ = MonoTime::min();  // when removals are allowed, whatever is missing
  size_t lot_ = limits::kBulkGetKeys;
  int conditional_left_ = 0;  // polls that may still be answered with "the same as before"
  int failures_ = 0;
  bool index_ = false;       // snapshot_ and all of its shards are here
  bool replicated_ = false;  // a server with replicas matches this node
  bool decide_ = false;      // the list or the connection changed
  bool complete_ = false;    // every wanted object is here
  bool more_ = false;        // the last Step stopped at its bound
  bool changed_ = false;     // something came since the last publication
  std::string saved_;        // the state file as written

  mutable Mutex mu_;
  std::shared_ptr<const AcceptedState> state_ GUARDED_BY(mu_);
  SyncStats stats_ GUARDED_BY(mu_);
  std::optional<std::string> offered_ GUARDED_BY(mu_);
  std::unordered_map<std::string, std::string> offered_values_ GUARDED_BY(mu_);  // by hash
  DownNews told_ GUARDED_BY(mu_);
  bool told_new_ GUARDED_BY(mu_) = false;
  struct Polling {
    Duration least, most;
  };
  std::optional<Polling> polling_ GUARDED_BY(mu_);  // told, and not looked at yet
};

}  // namespace mcpfleet
