// Garbage collection, backup and restore of the store (declared in writer.h).
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "store/blob_metadata.h"
#include "store/reader.h"
#include "store/writer.h"

namespace mcpfleet {
namespace {

constexpr size_t kMostKeys = 5'000'000;
constexpr size_t kBackupBytes = size_t{1} << 30;
constexpr char kBackupFormat[] = "mcpfleet-backup/1";

// The store keys that the last `snapshots` of the history reach. `present` (may be null) tells a parent that was
// collected from one that can't be read now.
StatusOr<std::set<std::string>> Reachable(KvClient& kv, const Head& head, size_t snapshots,
                                          const std::set<std::string>* present, Deadline deadline) {
  std::set<std::string> keys;
  std::string next = head.snapshot;
  for (size_t i = 0; i < snapshots && !next.empty(); ++i) {
    StatusOr<Snapshot> snapshot = ReadSnapshot(kv, next, deadline);
    if (!snapshot.ok()) {
      bool collected = snapshot.status().code() == StatusCode::kNotFound && i > 0 &&
                       (present == nullptr || !present->contains(SnapshotBlobKey(next)));
      if (collected) break;
      return Unavailable(Message(snapshot.status()));
    }
    keys.insert(SnapshotBlobKey(next));
    for (const std::string& shard : snapshot->shards) {
      if (!shard.empty()) keys.insert(ShardBlobKey(shard));
    }
    ASSIGN_OR_RETURN(auto entries, ReadEntries(kv, *snapshot, deadline));
    for (const auto& [key, entry] : entries) keys.insert(ObjectBlobKey(entry.hash));
    next = snapshot->parent;
  }
  return keys;
}

StatusOr<std::vector<KvKey>> ListBlobs(KvClient& kv, Deadline deadline) {
  std::vector<KvKey> all;
  for (std::string_view prefix : {kObjectPrefix, kShardPrefix, kSnapshotPrefix}) {
    ASSIGN_OR_RETURN(std::vector<KvKey> keys, ListAll(kv, prefix, kMostKeys, deadline));
    std::move(keys.begin(), keys.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<std::string> OldUnreachable(const std::vector<KvKey>& blobs, const std::set<std::string>& reachable,
                                        WallTime before) {
  std::vector<std::string> old;
  for (const KvKey& blob : blobs) {
    std::optional<WallTime> written = BlobWritten(blob.metadata);
    if (!reachable.contains(blob.name) && written && *written < before) old.push_back(blob.name);
  }
  return old;
}

struct BackupContent {
  Head head;
  std::vector<KvPair> blobs;
  std::vector<std::string> trust;  // documents 1, 2, …
};

// The documents that the head's signatures rest on, from the first.
StatusOr<std::vector<std::string>> ReadTrustChain(KvClient& kv, const Head& head, Deadline deadline) {
  std::vector<std::string> chain;
  for (int64_t version = 1; version <= head.order.trust; ++version) {
    ASSIGN_OR_RETURN(const TrustDocument document, ReadTrust(kv, version, deadline));
    ASSIGN_OR_RETURN(std::string bytes, EncodeTrust(document));
    chain.push_back(std::move(bytes));
  }
  return chain;
}

// What is there already stays, if it is the same: nodes may have walked on it.
Status RestoreTrust(KvClient& kv, const std::vector<std::string>& chain, Deadline deadline) {
  for (size_t i = 0; i < chain.size(); ++i) {
    const auto version = static_cast<int64_t>(i) + 1;
    const Status put = kv.Put(TrustKey(version), chain[i], {.if_none_match = true}, deadline);
    if (put.ok()) continue;
    const StatusOr<TrustDocument> there = ReadTrust(kv, version, deadline);
    if (!there.ok()) return Annotate(put, TrustKey(version));
    ASSIGN_OR_RETURN(const TrustDocument ours, ParseTrust(chain[i]));
    if (SignedText(*there) != SignedText(ours))
      return FailedPrecondition(TrustKey(version) + ": the store has another one than the backup");
  }
  return OkStatus();
}

StatusOr<BackupContent> ParseBackup(const std::string& text, const std::string& metadata) {
  size_t last = text.rfind('\n', text.size() < 2 ? 0 : text.size() - 2);
  if (text.empty() || text.back() != '\n' || last == std::string::npos) return InvalidArgument("not a whole backup");
  std::string_view body = std::string_view(text).substr(0, last + 1);
  StatusOr<Json> trailer = ParseJson(std::string_view(text).substr(last + 1));
  if (!trailer.ok() || GetString(*trailer, "sha256") != Sha256Hex(body)) {
    return InvalidArgument("the backup is damaged: its checksum does not match");
  }
  BackupContent content;
  bool first = true;
  for (size_t at = 0; at < body.size();) {
    size_t end = body.find('\n', at);
    ASSIGN_OR_RETURN(Json line, ParseJson(body.substr(at, end - at)));
    at = end + 1;
    if (first) {
      if (GetString(line, "format") != kBackupFormat) return InvalidArgument("not a backup of this format");
      ASSIGN_OR_RETURN(content.head, ParseHead(GetString(line, "head")));
      first = false;
      continue;
    }
    KvPair pair{GetString(line, "key"), GetString(line, "value"), metadata, 0};
    if (pair.key.starts_with(kTrustPrefix)) {
      if (pair.key != TrustKey(static_cast<int64_t>(content.trust.size()) + 1) || !ParseTrust(pair.value).ok())
        return InvalidArgument("the backup is damaged: " + pair.key);
      content.trust.push_back(std::move(pair.value));
      continue;
    }
    if (HashOfBlobKey(pair.key) != Sha256Hex(pair.value)) return InvalidArgument("the backup is damaged: " + pair.key);
    content.blobs.push_back(std::move(pair));
  }
  if (first) return InvalidArgument("the backup is empty");
  return content;
}

// Everything that the head of the backup needs is in it.
Status CheckComplete(const BackupContent& content) {
  if (static_cast<int64_t>(content.trust.size()) < content.head.order.trust)
    return InvalidArgument("the backup lacks trust documents");
  std::map<std::string, const std::string*> blobs;
  for (const KvPair& pair : content.blobs) blobs[pair.key] = &pair.value;
  auto find = [&blobs](const std::string& key) { return blobs.contains(key) ? blobs.at(key) : nullptr; };
  const std::string* bytes = find(SnapshotBlobKey(content.head.snapshot));
  if (bytes == nullptr) return InvalidArgument("the backup lacks its snapshot");
  ASSIGN_OR_RETURN(Snapshot snapshot, ParseSnapshot(*bytes, content.head.snapshot));
  for (const std::string& hash : snapshot.shards) {
    if (hash.empty()) continue;
    const std::string* shard_bytes = find(ShardBlobKey(hash));
    if (shard_bytes == nullptr) return InvalidArgument("the backup lacks a shard");
    ASSIGN_OR_RETURN(Shard shard, ParseShard(*shard_bytes, hash));
    for (const ShardEntry& entry : shard) {
      if (find(ObjectBlobKey(entry.hash)) == nullptr) return InvalidArgument("the backup lacks " + entry.key.name);
    }
  }
  return OkStatus();
}

// The content of the base, with an epoch above every one seen, in the place of what the store shows.
StatusOr<Head> MoveBack(KvClient& kv, const TrustedBase& base, const RestoreOptions& options, const Clock& clock,
                        Deadline deadline) {
  Head next = NextHead(*base.head(), clock);
  const int64_t epoch =
      std::max({next.order.epoch, options.min_epoch, base.replaced() ? base.replaced()->epoch : int64_t{0}});
  next.order = {base.trust_version(), epoch + 1, 1};
  const Status moved = MoveHead(kv, base, &next, options.sign, deadline);
  if (!moved.ok()) {
    const StatusOr<std::optional<Head>> now = ReadHead(kv, deadline);
    const bool ours = now.ok() && *now && (*now)->order == next.order && (*now)->snapshot == next.snapshot;
    if (!ours) return Annotate(moved, "moving the head");
  }
  return next;
}

}  // namespace

StatusOr<GcResult> Gc(KvClient& kv, const GcOptions& options, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return FailedPrecondition("the store has no head: nothing says what is garbage");
  ASSIGN_OR_RETURN(std::vector<KvKey> blobs, ListBlobs(kv, deadline));
  std::set<std::string> present;
  for (const KvKey& blob : blobs) present.insert(blob.name);
  size_t snapshots = std::max<size_t>(10, options.keep_snapshots);
  ASSIGN_OR_RETURN(std::set<std::string> reachable, Reachable(kv, *head, snapshots, &present, deadline));
  WallTime before = clock.Wall() - options.keep_written;
  std::vector<std::string> old = OldUnreachable(blobs, reachable, before);
  GcResult result{blobs.size() - old.size(), old.size()};
  if (options.dry_run || old.empty()) return result;
  // A writer may have uploaded one of them again since: look at the times and the head once more.
  ASSIGN_OR_RETURN(blobs, ListBlobs(kv, deadline));
  old = OldUnreachable(blobs, reachable, before);
  ASSIGN_OR_RETURN(std::optional<Head> still, ReadHead(kv, deadline));
  if (!still || still->order != head->order) return Aborted("the head moved meanwhile; nothing was deleted");
  RETURN_IF_ERROR(BulkDeleteAll(kv, old, deadline));
  return GcResult{blobs.size() - old.size(), old.size()};
}

StatusOr<size_t> Backup(KvClient& kv, const std::string& path, size_t snapshots, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return FailedPrecondition("the store is empty");
  ASSIGN_OR_RETURN(std::set<std::string> keys, Reachable(kv, *head, std::max<size_t>(1, snapshots), nullptr, deadline));
  ASSIGN_OR_RETURN(auto blobs, BulkGetAll(kv, {keys.begin(), keys.end()}, deadline));
  ASSIGN_OR_RETURN(std::string head_bytes, EncodeHead(*head));
  std::string text = DumpJson({{"format", kBackupFormat}, {"head", head_bytes}}) + "\n";
  for (const std::string& key : keys) {
    auto blob = blobs.find(key);
    if (blob == blobs.end()) return Unavailable(key + " is not there (yet)");
    if (Sha256Hex(blob->second) != HashOfBlobKey(key)) return Unavailable(key + " has another hash");
    text += DumpJson({{"key", key}, {"value", blob->second}}) + "\n";
    if (text.size() > kBackupBytes) return ResourceExhausted("the backup would be larger than 1 GiB");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> chain, ReadTrustChain(kv, *head, deadline));
  for (size_t i = 0; i < chain.size(); ++i)
    text += DumpJson({{"key", TrustKey(static_cast<int64_t>(i) + 1)}, {"value", chain[i]}}) + "\n";
  text += DumpJson({{"sha256", Sha256Hex(text)}}) + "\n";
  RETURN_IF_ERROR(WriteFileAtomically(path, text));
  return keys.size() + chain.size();
}

StatusOr<Head> Restore(KvClient& kv, const std::string& path, const RestoreOptions& options, const Clock& clock,
                       Deadline deadline) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kBackupBytes + 4096));
  StatusOr<BackupContent> content = ParseBackup(text, BlobMetadata(clock.Wall()));
  if (!content.ok()) return Annotate(content.status(), path);
  if (Status complete = CheckComplete(*content); !complete.ok()) return Annotate(complete, path);
  ASSIGN_OR_RETURN(std::optional<Head> current, ReadHead(kv, deadline));
  if (current && current->fleet != content->head.fleet && !options.replace_fleet) {
    return FailedPrecondition("the store belongs to another fleet than the backup");
  }
  // The store's own head is not built on, only gone beyond: it may be anything.
  const bool same_fleet = current && current->fleet == content->head.fleet;
  StatusOr<TrustedBase> base =
      options.sign.CopiedBase(kv, content->head, same_fleet ? current->order.trust : 0, &content->trust, deadline);
  if (!base.ok()) return Annotate(base.status(), path);
  RETURN_IF_ERROR(RestoreTrust(kv, content->trust, deadline));
  RETURN_IF_ERROR(BulkPutAll(kv, content->blobs, deadline));
  return MoveBack(kv, base->Replacing(OrderOf(current)), options, clock, deadline);
}

StatusOr<Head> RestoreSeen(KvClient& kv, const RestoreOptions& options, const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(const TrustedBase base, options.sign.OnLastSeen().ReadBase(kv, BaseFor::kChange, deadline));
  ASSIGN_OR_RETURN(const StoredState state, ReadStateAt(kv, base.head()->snapshot, deadline));
  if (!state.missing.empty()) return Unavailable("the store lacks a part of it: " + state.missing.front());
  return MoveBack(kv, base, options, clock, deadline);
}

}  // namespace mcpfleet
