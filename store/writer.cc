#include "store/writer.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/log.h"
#include "crd/change_rules.h"
#include "store/blob_metadata.h"
#include "store/reader.h"

namespace mcpfleet {
namespace {

constexpr size_t kMessageBytes = 1024;  // of a snapshot's message and author

std::string Uid(std::string_view digits) {
  std::string hex(digits.substr(0, 32));
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

// Whether nodes have nothing to do for it: what a generation counts. A restart that is asked for is work, as in
// Kubernetes, where its annotation is part of the template.
bool AsksForTheSame(const Object& before, const Object& after) {
  const auto restarted_at = [](const Object& object) {
    auto it = object.metadata.annotations.find(kRestartedAtAnnotation);
    return it == object.metadata.annotations.end() ? std::string() : it->second;
  };
  return before.spec == after.spec && restarted_at(before) == restarted_at(after);
}

// The state that a change is put on top of: the head, its snapshot, the shards that the change touches.
struct Base {
  std::optional<Head> head;
  std::optional<TrustedBase> trusted;  // by who signs here, if anybody does
  Snapshot snapshot;
  std::map<size_t, std::map<ObjectKey, ShardEntry>> shards;
  std::map<std::string, Object> objects;  // by hash: what the touched entries name, as far as it can be read
  std::vector<ObjectKey> remove;
};

// What one attempt would write.
struct Draft {
  std::vector<ObjectChange> changes;
  std::map<std::string, std::string> blobs;  // by store key
  std::string snapshot;                      // hash; "" when nothing changes
};

class Transaction {
 public:
  Transaction(KvClient& kv, const ChangeSet& changes, const WriteOptions& options, const Clock& clock,
              Deadline deadline)
      : kv_(kv),
        changes_(changes),
        options_(options),
        clock_(clock),
        deadline_(deadline),
        time_(FormatTime(clock.Wall())),
        rng_(options.seed != 0 ? options.seed : std::random_device()()) {}

  StatusOr<ApplyResult> Run();

 private:
  Status Check() const;
  Status CheckOwner(const ObjectKey& key, const Object* stored, bool removed) const;
  // Whether the base is another state than the one that the prune was decided for.
  bool MustPruneAnew(const Base& base) const;
  StatusOr<Base> ReadBase();
  Status ReadShards(Base* base);
  Status ReadObjects(Base* base);
  Status DecideRemoved(Base* base);
  StatusOr<Draft> Decide(const Base& base);
  Status DecideSet(const Object& wanted, const Base& base, std::map<ObjectKey, ShardEntry>* shard, Draft* draft);
  // The draft's values that are not stored yet.
  std::vector<KvPair> Missing(const Draft& draft) const;
  Head Next(const Base& base, const std::string& snapshot) const;
  // Whether one of our snapshots is in the chain from the head back to `since`: the move succeeded though its answer
  // was lost, and others may have moved on from it.
  StatusOr<bool> Succeeded(const Head& head, const std::string& since);
  void BackOff(int attempt);
  std::string NewUid();

  KvClient& kv_;
  const ChangeSet& changes_;
  const WriteOptions& options_;
  const Clock& clock_;
  const Deadline deadline_;
  const std::string time_;
  std::mt19937_64 rng_;
  std::map<ObjectKey, std::string> new_uids_;   // of objects that did not exist, the same in every attempt
  std::map<std::string, Shard> shard_cache_;    // by hash
  std::map<std::string, Object> object_cache_;  // by hash
  std::set<std::string> uploaded_;              // store keys
  std::set<std::string> tried_;                 // our snapshots
  std::string tried_on_;                        // the snapshot that the last attempt was put on
  std::vector<ObjectChange> tried_changes_;
};

Status Transaction::Check() const {
  std::set<ObjectKey> seen;
  auto once = [&seen](const ObjectKey& key) {
    if (key.kind.empty() || key.name.empty()) return InvalidArgument("an object without kind or name");
    if (!seen.insert(key).second) return InvalidArgument(key.kind + "/" + key.name + ": given twice");
    return OkStatus();
  };
  for (const Object& object : changes_.set) RETURN_IF_ERROR(once(KeyOf(object)));
  for (const ObjectKey& key : changes_.remove) RETURN_IF_ERROR(once(key));
  return OkStatus();
}

Status Transaction::CheckOwner(const ObjectKey& key, const Object* stored, bool removed) const {
  if (changes_.apply_set.empty()) return OkStatus();
  const std::string name = FullNameOf(key);
  if (stored == nullptr) {
    if (!removed) return OkStatus();  // a damaged object is replaced, as by any change
    return Unavailable(name + ": can't be read (yet), so nobody knows whether it is of apply set " +
                       changes_.apply_set);
  }
  auto owner = stored->metadata.labels.find(kApplySetLabel);
  if (owner == stored->metadata.labels.end()) {
    if (!removed) return OkStatus();
    return FailedPrecondition(name + ": is of no apply set (any more), so apply set " + changes_.apply_set +
                              " does not delete it");
  }
  if (owner->second == changes_.apply_set) return OkStatus();
  return FailedPrecondition(name + ": belongs to apply set " + owner->second + ", not to " + changes_.apply_set +
                            "; to hand it over, remove its label " + kApplySetLabel + " first");
}

StatusOr<Base> Transaction::ReadBase() {
  Base base;
  if (options_.sign) {
    ASSIGN_OR_RETURN(base.trusted, options_.sign.ReadBase(kv_, BaseFor::kChange, deadline_));
    base.head = base.trusted->head();
  } else {
    ASSIGN_OR_RETURN(base.head, ReadHead(kv_, deadline_));
  }
  if (base.head) {
    StatusOr<Snapshot> snapshot = ReadSnapshot(kv_, base.head->snapshot, deadline_);
    if (!snapshot.ok()) return Unavailable(Message(snapshot.status()));
    base.snapshot = *std::move(snapshot);
  }
  RETURN_IF_ERROR(ReadShards(&base));
  RETURN_IF_ERROR(ReadObjects(&base));
  RETURN_IF_ERROR(DecideRemoved(&base));
  return base;
}

bool Transaction::MustPruneAnew(const Base& base) const {
  return changes_.prune && changes_.prune->planned_on != (base.head ? base.head->snapshot : "");
}

Status Transaction::DecideRemoved(Base* base) {
  base->remove = changes_.remove;
  if (!MustPruneAnew(*base)) return OkStatus();
  std::map<ObjectKey, Object> stored;
  for (const auto& [index, entries] : base->shards) {
    for (const auto& [key, entry] : entries) {
      auto object = base->objects.find(entry.hash);
      if (object == base->objects.end())
        return Unavailable(FullNameOf(key) + ": can't be read (yet), so nobody knows whether it is to be pruned");
      stored.emplace(key, object->second);
    }
  }
  std::set<ObjectKey> named;
  for (const Object& object : changes_.set) named.insert(KeyOf(object));
  ASSIGN_OR_RETURN(base->remove, DecidePrune(stored, named, *changes_.prune));
  return OkStatus();
}

Status Transaction::ReadShards(Base* base) {
  for (const Object& object : changes_.set) base->shards[ShardOf(KeyOf(object))];
  for (const ObjectKey& key : changes_.remove) base->shards[ShardOf(key)];
  if (MustPruneAnew(*base)) {
    for (size_t index = 0; index < kShardCount; ++index) base->shards[index];
  }
  std::vector<std::string> keys;
  for (const auto& [index, entries] : base->shards) {
    const std::string& hash = base->snapshot.shards[index];
    if (!hash.empty() && !shard_cache_.contains(hash)) keys.push_back(ShardBlobKey(hash));
  }
  ASSIGN_OR_RETURN(auto found, BulkGetAll(kv_, keys, deadline_));
  for (const auto& [key, bytes] : found) {
    std::string hash(HashOfBlobKey(key));
    StatusOr<Shard> shard = ParseShard(bytes, hash);
    if (!shard.ok()) return Unavailable(Message(shard.status()));
    shard_cache_[hash] = *std::move(shard);
  }
  for (auto& [index, entries] : base->shards) {
    const std::string& hash = base->snapshot.shards[index];
    if (hash.empty()) continue;
    auto shard = shard_cache_.find(hash);
    if (shard == shard_cache_.end()) return Unavailable("shard " + hash.substr(0, 12) + " is not there (yet)");
    for (const ShardEntry& entry : shard->second) entries.emplace(entry.key, entry);
  }
  return OkStatus();
}

Status Transaction::ReadObjects(Base* base) {
  std::vector<std::string> keys;
  const auto want = [&](const ShardEntry& entry) {
    if (!object_cache_.contains(entry.hash)) keys.push_back(ObjectBlobKey(entry.hash));
  };
  if (MustPruneAnew(*base)) {
    for (const auto& [index, entries] : base->shards) {
      for (const auto& [key, entry] : entries) want(entry);
    }
  } else {
    std::vector<ObjectKey> touched;
    for (const Object& object : changes_.set) touched.push_back(KeyOf(object));
    // Of what is deleted, only the owner is asked for.
    if (!changes_.apply_set.empty()) touched.insert(touched.end(), changes_.remove.begin(), changes_.remove.end());
    for (const ObjectKey& key : touched) {
      const auto& shard = base->shards.at(ShardOf(key));
      if (auto entry = shard.find(key); entry != shard.end()) want(entry->second);
    }
  }
  ASSIGN_OR_RETURN(auto found, BulkGetAll(kv_, keys, deadline_));
  for (const auto& [key, bytes] : found) {
    std::string hash(HashOfBlobKey(key));
    StatusOr<Object> object = ParseObjectBlob(bytes, hash);
    // A damaged object counts as one that can't be read: the change replaces it.
    if (object.ok()) object_cache_[hash] = *std::move(object);
  }
  base->objects = object_cache_;
  return OkStatus();
}

Status Transaction::DecideSet(const Object& wanted, const Base& base, std::map<ObjectKey, ShardEntry>* shard,
                              Draft* draft) {
  ObjectKey key = KeyOf(wanted);
  Object next = wanted;
  ObjectChange change{key, ChangeKind::kCreated, "", 1};
  auto old = shard->find(key);
  if (old == shard->end()) {
    std::string& uid = new_uids_[key];
    if (uid.empty()) uid = NewUid();
    next.metadata.uid = uid;
    next.metadata.generation = 1;
    next.metadata.creation_timestamp = time_;
  } else {
    change.kind = ChangeKind::kUpdated;
    next.metadata.uid = old->second.uid;
    auto known = base.objects.find(old->second.hash);
    RETURN_IF_ERROR(CheckOwner(key, known == base.objects.end() ? nullptr : &known->second, false));
    if (known != base.objects.end()) {
      const Object& before = known->second;
      if (changes_.manifests) KeepOwnNotes(before, &next);
      if (const std::vector<Violation> wrong = ValidateChange(before, next); !wrong.empty())
        return InvalidArgument(next.kind + " " + next.metadata.namespace_ + "/" + next.metadata.name + ": " +
                               ToString(wrong.front()));
      next.metadata.creation_timestamp = before.metadata.creation_timestamp;
      next.metadata.generation = old->second.generation + (AsksForTheSame(before, next) ? 0 : 1);
    } else {
      // What it was can't be read: a new generation is always right, and its new hash is a key that nobody has missed.
      next.metadata.creation_timestamp = time_;
      next.metadata.generation = old->second.generation + 1;
    }
  }
  ASSIGN_OR_RETURN(std::string bytes, EncodeObject(next));
  std::string hash = Sha256Hex(bytes);
  change.uid = next.metadata.uid;
  change.generation = next.metadata.generation;
  if (old != shard->end() && old->second.hash == hash) {
    change.kind = ChangeKind::kUnchanged;
  } else {
    shard->insert_or_assign(key, EntryOf(next, hash));
    draft->blobs[ObjectBlobKey(hash)] = std::move(bytes);
  }
  draft->changes.push_back(std::move(change));
  return OkStatus();
}

StatusOr<Draft> Transaction::Decide(const Base& base) {
  Draft draft;
  auto shards = base.shards;
  for (const Object& wanted : changes_.set) {
    RETURN_IF_ERROR(DecideSet(wanted, base, &shards.at(ShardOf(KeyOf(wanted))), &draft));
  }
  for (const ObjectKey& key : base.remove) {
    auto& shard = shards.at(ShardOf(key));
    auto old = shard.find(key);
    ObjectChange change{key, ChangeKind::kAbsent, "", 0};
    if (old != shard.end()) {
      auto known = base.objects.find(old->second.hash);
      RETURN_IF_ERROR(CheckOwner(key, known == base.objects.end() ? nullptr : &known->second, true));
      change = {key, ChangeKind::kDeleted, old->second.uid, old->second.generation};
      shard.erase(old);
    }
    draft.changes.push_back(std::move(change));
  }
  Snapshot next = base.snapshot;
  next.parent = base.head ? base.head->snapshot : "";
  next.message = options_.message.substr(0, kMessageBytes);
  next.author = options_.author.substr(0, kMessageBytes);
  next.time = time_;
  bool changed = false;
  for (const auto& [index, entries] : shards) {
    if (entries == base.shards.at(index)) continue;
    changed = true;
    next.shards[index].clear();
    if (entries.empty()) continue;
    Shard shard;
    for (const auto& [key, entry] : entries) shard.push_back(entry);
    ASSIGN_OR_RETURN(std::string bytes, EncodeShard(shard));
    next.shards[index] = Sha256Hex(bytes);
    draft.blobs[ShardBlobKey(next.shards[index])] = std::move(bytes);
  }
  if (!changed) return draft;
  ASSIGN_OR_RETURN(std::string bytes, EncodeSnapshot(next));
  draft.snapshot = Sha256Hex(bytes);
  draft.blobs[SnapshotBlobKey(draft.snapshot)] = std::move(bytes);
  return draft;
}

std::vector<KvPair> Transaction::Missing(const Draft& draft) const {
  std::vector<KvPair> pairs;
  const std::string metadata = BlobMetadata(clock_.Wall());
  for (const auto& [key, bytes] : draft.blobs) {
    if (!uploaded_.contains(key)) pairs.push_back({key, bytes, metadata, 0});
  }
  return pairs;
}

Head Transaction::Next(const Base& base, const std::string& snapshot) const {
  Head next =
      base.head ? NextHead(*base.head, clock_) : Head{.fleet = RandomHex(16), .order = {0, 1, 1}, .time = time_};
  next.snapshot = snapshot;
  return next;
}

StatusOr<bool> Transaction::Succeeded(const Head& head, const std::string& since) {
  std::string at = head.snapshot;
  // As many steps as others may have made while we lost once; the chain ends at `since` long before.
  for (int step = 0; step < 1000 && !at.empty() && at != since; ++step) {
    if (tried_.contains(at)) return true;
    StatusOr<Snapshot> snapshot = ReadSnapshot(kv_, at, deadline_);
    if (!snapshot.ok()) return Unavailable(Message(snapshot.status()));
    at = snapshot->parent;
  }
  return false;
}

// Waits a random part of a window that doubles: writers who collided should not collide again.
void Transaction::BackOff(int attempt) {
  int64_t window = std::min<int64_t>(2000, int64_t{10} << std::min(attempt, 8));
  Duration wait = std::chrono::milliseconds(1 + static_cast<int64_t>(rng_() % static_cast<uint64_t>(window)));
  poll(nullptr, 0, deadline_.AtMost(wait).PollMillis());
}

std::string Transaction::NewUid() {
  return Uid(options_.seed == 0 ? RandomHex(16) : Sha256Hex(std::to_string(rng_())));
}

StatusOr<ApplyResult> Transaction::Run() {
  RETURN_IF_ERROR(Check());
  Status last = Aborted("no attempt was allowed");
  for (int attempt = 1; attempt <= options_.max_attempts; ++attempt) {
    if (attempt > 1) BackOff(attempt);
    StatusOr<Base> base = ReadBase();
    if (!base.ok()) return last.code() == StatusCode::kAborted ? base.status() : last;
    if (!tried_.empty() && base->head) {
      ASSIGN_OR_RETURN(bool succeeded, Succeeded(*base->head, tried_on_));
      if (succeeded) return ApplyResult{std::move(tried_changes_), base->head, true, attempt};
    }
    ASSIGN_OR_RETURN(Draft draft, Decide(*base));
    if (draft.snapshot.empty() || options_.dry_run) {
      return ApplyResult{std::move(draft.changes), base->head, false, attempt};
    }
    tried_.insert(draft.snapshot);
    tried_on_ = base->head ? base->head->snapshot : "";
    tried_changes_ = draft.changes;
    Head next = Next(*base, draft.snapshot);
    if (!base->trusted) {
      ASSIGN_OR_RETURN(base->trusted, TrustedBase::Unsigned(base->head));
    }
    const StatusOr<HeadMove> move = PrepareMove(*base->trusted, &next, options_.sign);
    Status moved = move.status();
    if (moved.ok()) {
      const std::vector<KvPair> values = Missing(draft);
      const StatusOr<bool> together = kv_.Commit(values, move->head, move->condition, deadline_);
      moved = together.status();
      if (moved.ok() && !*together) {
        RETURN_IF_ERROR(BulkPutAll(kv_, values, deadline_));
        for (const KvPair& pair : values) uploaded_.insert(pair.key);
        moved = kv_.Put(kHeadKey, move->head, move->condition, deadline_);
      }
    }
    if (moved.ok()) {
      options_.sign.Moved(*base->trusted, next);
      return ApplyResult{std::move(draft.changes), std::move(next), true, attempt};
    }
    // Lost to another writer, or the answer was lost: the next look at the head tells.
    if (!IsRetryable(moved)) return moved;
    last = moved;
    if (deadline_.Expired()) break;
  }
  return Annotate(last, "moving the head");
}

}  // namespace

const char* WordFor(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kCreated:
      return "created";
    case ChangeKind::kUpdated:
      return "configured";
    case ChangeKind::kUnchanged:
      return "unchanged";
    case ChangeKind::kDeleted:
      return "deleted";
    case ChangeKind::kAbsent:
      return "not found";
  }
  return "";
}

StatusOr<ApplyResult> Apply(KvClient& kv, const ChangeSet& changes, const WriteOptions& options, const Clock& clock,
                            Deadline deadline) {
  return Transaction(kv, changes, options, clock, deadline).Run();
}

StatusOr<ApplyResult> Rollback(KvClient& kv, const std::string& snapshot, const WriteOptions& options,
                               const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(StoredState then, ReadStateAt(kv, snapshot, deadline));
  if (!then.missing.empty()) return Unavailable("snapshot " + snapshot.substr(0, 12) + ": " + then.missing[0]);
  std::optional<Head> head;
  if (options.sign) {
    ASSIGN_OR_RETURN(const TrustedBase base, options.sign.ReadBase(kv, BaseFor::kChange, deadline));
    head = base.head();
  } else {
    ASSIGN_OR_RETURN(head, ReadHead(kv, deadline));
  }
  if (!head) return FailedPrecondition("the store is empty");
  StatusOr<Snapshot> now = ReadSnapshot(kv, head->snapshot, deadline);
  if (!now.ok()) return Unavailable(Message(now.status()));
  ASSIGN_OR_RETURN(auto entries, ReadEntries(kv, *now, deadline));
  ChangeSet changes;
  for (auto& [key, object] : then.objects) {
    auto current = entries.find(key);
    if (current == entries.end() || current->second.hash != then.entries.at(key).hash) {
      changes.set.push_back(std::move(object));
    }
  }
  for (const auto& [key, entry] : entries) {
    if (!then.entries.contains(key)) changes.remove.push_back(key);
  }
  return Apply(kv, changes, options, clock, deadline);
}

}  // namespace mcpfleet
