#include "store/reader.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "store/local_cache.h"

namespace mcpfleet {
namespace {

// Blobs by hash: from the cache what is there, the rest from the store in lots. Absent ones are absent in the answer.
StatusOr<std::map<std::string, std::string>> ReadBlobs(KvClient& kv, std::string_view prefix,
                                                       const std::vector<std::string>& hashes, LocalCache* cache,
                                                       Deadline deadline) {
  std::map<std::string, std::string> blobs;
  std::vector<std::string> keys;
  for (const std::string& hash : hashes) {
    std::optional<std::string> cached = cache != nullptr ? cache->Get(hash) : std::nullopt;
    if (cached) {
      blobs[hash] = *std::move(cached);
    } else {
      keys.push_back(std::string(prefix) + hash);
    }
  }
  ASSIGN_OR_RETURN(auto found, BulkGetAll(kv, keys, deadline));
  for (auto& [key, bytes] : found) blobs[std::string(HashOfBlobKey(key))] = std::move(bytes);
  return blobs;
}

// A cache that can't take blobs only costs time.
void Keep(LocalCache* cache, const std::vector<CacheBlob>& blobs) {
  if (cache == nullptr) return;
  if (Status status = cache->Put(blobs); !status.ok()) LOG_DEBUG("cache not written", {{"error", status}});
}

Status ReadObjects(KvClient& kv, StoredState* state, LocalCache* cache, Deadline deadline) {
  std::vector<std::string> hashes;
  for (const auto& [key, entry] : state->entries) hashes.push_back(entry.hash);
  ASSIGN_OR_RETURN(auto blobs, ReadBlobs(kv, kObjectPrefix, hashes, cache, deadline));
  std::vector<CacheBlob> keep;
  for (const auto& [key, entry] : state->entries) {
    auto blob = blobs.find(entry.hash);
    if (blob == blobs.end()) {
      state->missing.push_back(FullNameOf(key) + ": its object is not there (yet)");
      continue;
    }
    StatusOr<Object> object = ParseObjectBlob(blob->second, entry.hash);
    std::string wrong = object.ok() ? EntryMismatch(entry, *object) : Message(object.status());
    if (!wrong.empty()) {
      state->missing.push_back(FullNameOf(key) + ": " + wrong);
      continue;
    }
    state->objects[key] = *std::move(object);
    keep.push_back({entry.hash, std::move(blob->second)});
  }
  Keep(cache, keep);
  return OkStatus();
}

}  // namespace

StatusOr<std::optional<Head>> ReadHead(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<KvValue> value, kv.Get(kHeadKey, deadline));
  if (!value) return std::optional<Head>();
  StatusOr<Head> head = ParseHead(value->value);
  if (!head.ok()) return Unavailable("the store's head is no head: " + Message(head.status()));
  return std::optional<Head>(*std::move(head));
}

StatusOr<Head> PresentHead(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return EmptyStore();
  return *std::move(head);
}

Status EmptyStore() { return FailedPrecondition("the store is empty: apply something first"); }

StatusOr<Snapshot> ReadSnapshot(KvClient& kv, const std::string& hash, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<KvValue> value, kv.Get(SnapshotBlobKey(hash), deadline));
  if (!value) return NotFound("snapshot " + hash.substr(0, 12) + " is not there");
  StatusOr<Snapshot> snapshot = ParseSnapshot(value->value, hash);
  if (!snapshot.ok()) return Unavailable(Message(snapshot.status()));
  return snapshot;
}

StatusOr<std::map<ObjectKey, ShardEntry>> ReadEntries(KvClient& kv, const Snapshot& snapshot, Deadline deadline,
                                                      LocalCache* cache) {
  std::vector<std::string> hashes;
  for (const std::string& hash : snapshot.shards) {
    if (!hash.empty()) hashes.push_back(hash);
  }
  ASSIGN_OR_RETURN(auto blobs, ReadBlobs(kv, kShardPrefix, hashes, cache, deadline));
  std::map<ObjectKey, ShardEntry> entries;
  std::vector<CacheBlob> keep;
  for (const std::string& hash : hashes) {
    auto blob = blobs.find(hash);
    if (blob == blobs.end()) return Unavailable("shard " + hash.substr(0, 12) + " is not there (yet)");
    StatusOr<Shard> shard = ParseShard(blob->second, hash);
    if (!shard.ok()) return Unavailable(Message(shard.status()));
    for (ShardEntry& entry : *shard) {
      ObjectKey key = entry.key;
      entries.emplace(std::move(key), std::move(entry));
    }
    keep.push_back({hash, std::move(blob->second)});
  }
  Keep(cache, keep);
  return entries;
}

StatusOr<StoredState> ReadStateAt(KvClient& kv, const std::string& snapshot, Deadline deadline, LocalCache* cache) {
  StoredState state;
  ASSIGN_OR_RETURN(state.snapshot, ReadSnapshot(kv, snapshot, deadline));
  ASSIGN_OR_RETURN(state.entries, ReadEntries(kv, state.snapshot, deadline, cache));
  RETURN_IF_ERROR(ReadObjects(kv, &state, cache, deadline));
  return state;
}

StatusOr<StoredState> ReadState(KvClient& kv, Deadline deadline, LocalCache* cache) {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return StoredState{};
  return ReadStateOf(kv, *std::move(head), deadline, cache);
}

StatusOr<StoredState> ReadStateOf(KvClient& kv, Head head, Deadline deadline, LocalCache* cache) {
  StatusOr<StoredState> state = ReadStateAt(kv, head.snapshot, deadline, cache);
  if (!state.ok()) {
    // The head names it, so it was written: it is not absent but not visible yet.
    return state.status().code() == StatusCode::kNotFound ? Unavailable(Message(state.status())) : state.status();
  }
  state->head = std::move(head);
  return state;
}

StatusOr<std::vector<HistoryEntry>> ReadHistory(KvClient& kv, size_t most, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  return ReadHistoryFrom(kv, head ? head->snapshot : "", most, deadline);
}

StatusOr<std::vector<HistoryEntry>> ReadHistoryFrom(KvClient& kv, std::string newest, size_t most, Deadline deadline) {
  std::vector<HistoryEntry> history;
  std::string next = std::move(newest);
  while (!next.empty() && history.size() < most) {
    StatusOr<Snapshot> snapshot = ReadSnapshot(kv, next, deadline);
    if (!snapshot.ok()) {
      if (snapshot.status().code() == StatusCode::kNotFound && !history.empty()) break;
      return snapshot.status();
    }
    history.push_back({next, *snapshot});
    next = snapshot->parent;
  }
  return history;
}

}  // namespace mcpfleet
