#include "tests/sim/store_truth.h"

#include <algorithm>

#include "base/digest.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;

std::string HashOf(const Object& object) {
  StatusOr<std::string> bytes = EncodeObject(object);
  return bytes.ok() ? Sha256Hex(*bytes) : "";
}

}  // namespace

std::string StoreTruth::Record(const FakeKv& kv, MonoTime now) {
  std::string bytes = kv.Peek(kHeadKey).value_or("");
  if (bytes == head_bytes_) return "";
  head_bytes_ = bytes;
  head_.reset();
  StatusOr<Head> head = ParseHead(bytes);
  if (!head.ok()) return "the store's head can't be read";
  if (head->fleet != fleet_) return "";
  head_ = *head;
  heads_.insert({head->order, head->snapshot});
  if (entries_.contains(head->snapshot)) return "";
  StatusOr<Snapshot> snapshot = ParseSnapshot(kv.Peek(SnapshotBlobKey(head->snapshot)).value_or(""), head->snapshot);
  if (!snapshot.ok()) return "a head without its snapshot";
  std::map<ObjectKey, ShardEntry>& entries = entries_[head->snapshot];
  for (const std::string& hash : snapshot->shards) {
    if (hash.empty()) continue;
    StatusOr<Shard> shard = ParseShard(kv.Peek(ShardBlobKey(hash)).value_or(""), hash);
    if (!shard.ok()) return "a head without one of its shards";
    for (const ShardEntry& entry : *shard) {
      entries[entry.key] = entry;
      named_at_.try_emplace(entry.hash, now);
      StatusOr<Object> object = ParseObjectBlob(kv.Peek(ObjectBlobKey(entry.hash)).value_or(""), entry.hash);
      if (!object.ok()) return "a head without " + entry.key.name;
      objects_[entry.hash] = *std::move(object);
    }
  }
  return "";
}

std::map<ObjectKey, Object> StoreTruth::ObjectsOf(const std::string& snapshot) const {
  std::map<ObjectKey, Object> objects;
  for (const auto& [key, entry] : entries_.at(snapshot)) objects[key] = objects_.at(entry.hash);
  return objects;
}

std::string StoreTruth::CheckHead(const Head& head) {
  const std::string name = "head " + ToString(head.order);
  if (head.fleet != fleet_) return name + " of another fleet was accepted";
  if (!heads_.contains({head.order, head.snapshot})) return name + " was accepted and nobody wrote it";
  if (accepted_ && std::pair(head.order, head.snapshot) < std::pair(accepted_->order, accepted_->snapshot)) {
    return name + " was accepted after " + ToString(accepted_->order);
  }
  accepted_ = head;
  return "";
}

std::string StoreTruth::Check(const AcceptedState& state, MonoTime now) {
  if (!state.head) return accepted_ ? "the accepted head is forgotten" : "";
  if (std::string wrong = CheckHead(*state.head); !wrong.empty()) return wrong;
  const std::map<ObjectKey, ShardEntry>& entries = entries_.at(state.head->snapshot);
  for (const auto& [key, entry] : entries) {
    if (state.removals_allowed && !state.objects.contains(key))
      return key.name + " may be removed and nobody deleted it";
  }
  // What a head does not name is forgotten: it comes back as something new.
  std::erase_if(in_force_, [&](const auto& item) { return !entries.contains(item.first); });
  for (const auto& [key, synced] : state.objects) {
    auto named = entries.find(key);
    std::string wrong =
        CheckObject(synced, named == entries.end() ? nullptr : &named->second, state.removals_allowed, now);
    if (!wrong.empty()) return key.name + " at head " + ToString(state.head->order) + ": " + wrong;
  }
  return "";
}

bool StoreTruth::NamedSince(const ObjectKey& key, const std::string& hash, const HeadOrder& order) const {
  return std::any_of(heads_.begin(), heads_.end(), [&](const auto& head) {
    if (head.first < order || accepted_->order < head.first) return false;
    const auto& entries = entries_.at(head.second);
    const auto entry = entries.find(key);
    return entry != entries.end() && entry->second.hash == hash;
  });
}

std::string StoreTruth::CheckObject(const SyncedObject& synced, const ShardEntry* named, bool removals_allowed,
                                    MonoTime now) {
  const auto [before, before_hash, seen_with] = in_force_[synced.entry.key];
  std::string hash = synced.object == before ? before_hash : synced.object == nullptr ? "" : HashOf(*synced.object);
  if (named == nullptr || named->hash != synced.entry.hash) {
    // Booted from a cache whose index is damaged: what was in force goes on, and nothing is removed.
    const bool went_on = !removals_allowed && synced.object != nullptr && (before == nullptr || hash == before_hash);
    return went_on ? "" : "the entry is none of the head's";
  }
  if (!synced.mismatch.empty()) return "a sound object is called wrong: " + synced.mismatch;
  if (hash.empty() && !synced.pending) return "it is not here and not called pending";
  if (hash != named->hash) {
    if (!synced.pending) return "an old version is not called pending";
    if (hash.empty() && before != nullptr && !lost_.contains(before_hash)) return "the version before is not in force";
    if (!hash.empty() && before != nullptr && hash != before_hash && !NamedSince(synced.entry.key, hash, seen_with))
      return "a version came back that was replaced";
    if (removals_allowed && now < named_at_.at(named->hash) + minutes(5)) return "removals do not wait for it";
  } else if (synced.pending) {
    return "it is here and called pending";
  }
  if (synced.object != nullptr) {
    in_force_[synced.entry.key] = {synced.object, hash, accepted_->order};
    lost_.erase(hash);
  }
  return "";
}

}  // namespace mcpfleet
