// The Git-shaped desired state: head -> snapshot -> 64 shards -> objects. Everything but the head is immutable and
// named by the SHA-256 of its bytes, so nothing that a cache may hold ever changes.
//
// Parse functions take the bytes as received: size first, then hash, then JSON. Encode functions give canonical JSON
// (RFC 8785), so equal content has an equal name everywhere.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet {

inline constexpr char kHeadKey[] = "head";
inline constexpr char kObjectPrefix[] = "objects/";
inline constexpr char kShardPrefix[] = "shards/";
inline constexpr char kSnapshotPrefix[] = "snapshots/";
inline constexpr size_t kShardCount = 64;

inline std::string ObjectBlobKey(std::string_view hash) { return kObjectPrefix + std::string(hash); }
inline std::string ShardBlobKey(std::string_view hash) { return kShardPrefix + std::string(hash); }
inline std::string SnapshotBlobKey(std::string_view hash) { return kSnapshotPrefix + std::string(hash); }
// The hash in an objects|shards|snapshots key, "" for any other key.
std::string_view HashOfBlobKey(std::string_view key);

// The order of heads. Lexicographic; on a node it only ever grows.
struct HeadOrder {
  int64_t trust = 0, epoch = 0, revision = 0;
  auto operator<=>(const HeadOrder&) const = default;
};
// "trust.epoch.revision": the etag of the head, and its name for people.
std::string ToString(const HeadOrder& order);
StatusOr<HeadOrder> ParseHeadOrder(std::string_view text);

struct Head {
  std::string fleet;  // 32 hex digits, chosen with the first head
  HeadOrder order;
  std::string snapshot;             // hash
  std::string time;                 // RFC 3339
  std::string valid_until;          // RFC 3339, "": for ever
  Json signatures = Json::array();  // [{key, signature}], see store/trust; kept as they are
};

// What a shard says of an object: enough to decide who needs it without reading it.
struct ShardEntry {
  ObjectKey key;
  std::string uid;
  int64_t generation = 0;
  std::string hash;
  Json placement;  // spec.placement of a server; null: every node
  bool operator==(const ShardEntry&) const = default;
};
using Shard = std::vector<ShardEntry>;  // sorted by key, no key twice

struct Snapshot {
  std::string parent;                           // hash, "" for the first
  std::array<std::string, kShardCount> shards;  // hashes, "" for a shard without entries
  std::string message, author;
  std::string time;  // RFC 3339
};

size_t ShardOf(const ObjectKey& key);
// "MCPServer/default/weather", for messages.
std::string FullNameOf(const ObjectKey& key);
ShardEntry EntryOf(const Object& object, std::string_view hash);
// What of `object` disagrees with the entry that names it: "" when nothing does.
std::string EntryMismatch(const ShardEntry& entry, const Object& object);

StatusOr<std::string> EncodeHead(const Head& head);
// What is signed of a head: everything but the signatures, with a prefix that no other signed text has.
std::string SignedText(const Head& head);
StatusOr<std::string> EncodeSnapshot(const Snapshot& snapshot);
StatusOr<std::string> EncodeShard(const Shard& shard);
StatusOr<std::string> EncodeObject(const Object& object);

StatusOr<Head> ParseHead(std::string_view bytes);
StatusOr<Snapshot> ParseSnapshot(std::string_view bytes, std::string_view hash);
StatusOr<Shard> ParseShard(std::string_view bytes, std::string_view hash);
StatusOr<Object> ParseObjectBlob(std::string_view bytes, std::string_view hash);

}  // namespace mcpfleet
