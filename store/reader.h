// Reading the whole desired state, for mcpctl: head -> snapshot -> shards -> objects.
//
// A referenced key that the store does not show (yet) is named in `missing`; what there is is returned all the same.
// With a LocalCache, blobs come from and go to it: what is immutable is read once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/kv_client.h"
#include "store/snapshot.h"

namespace mcpfleet {

class LocalCache;

struct StoredState {
  std::optional<Head> head;  // nullopt: the store is empty
  Snapshot snapshot;
  std::map<ObjectKey, ShardEntry> entries;
  std::map<ObjectKey, Object> objects;  // those that could be read and agree with their entry
  std::vector<std::string> missing;     // "MCPServer/default/weather: …", for people
};

StatusOr<std::optional<Head>> ReadHead(KvClient& kv, Deadline deadline);
// FailedPrecondition when the store is empty.
StatusOr<Head> PresentHead(KvClient& kv, Deadline deadline);
Status EmptyStore();  // what that says
StatusOr<Snapshot> ReadSnapshot(KvClient& kv, const std::string& hash, Deadline deadline);
// Everything at the head, or (`at` a snapshot's hash) at that snapshot; head is then left out.
StatusOr<StoredState> ReadState(KvClient& kv, Deadline deadline, LocalCache* cache = nullptr);
// Everything at a head that was read, and judged, before.
StatusOr<StoredState> ReadStateOf(KvClient& kv, Head head, Deadline deadline, LocalCache* cache = nullptr);
StatusOr<StoredState> ReadStateAt(KvClient& kv, const std::string& snapshot, Deadline deadline,
                                  LocalCache* cache = nullptr);
// The entries of all shards of a snapshot; a missing or damaged shard is an error (Unavailable).
StatusOr<std::map<ObjectKey, ShardEntry>> ReadEntries(KvClient& kv, const Snapshot& snapshot, Deadline deadline,
                                                      LocalCache* cache = nullptr);

struct HistoryEntry {
  std::string hash;
  Snapshot snapshot;
};
// Newest first, at most `most`, along the parents until one is gone.
StatusOr<std::vector<HistoryEntry>> ReadHistory(KvClient& kv, size_t most, Deadline deadline);

// The same from a snapshot on.
StatusOr<std::vector<HistoryEntry>> ReadHistoryFrom(KvClient& kv, std::string newest, size_t most, Deadline deadline);

}  // namespace mcpfleet
