#include "store/snapshot.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/limits.h"
#include "base/strings.h"
#include "crd/canonical.h"
#include "crd/codec.h"

namespace mcpfleet {
namespace {

constexpr std::string_view kSignedHead = "mcpfleet head v1\n";
constexpr int64_t kGreatestInteger = (int64_t{1} << 53) - 1;

// Size, then hash, then JSON: what did not pass one is not looked at by the next.
StatusOr<Json> ParseVerified(std::string_view bytes, std::string_view hash, size_t limit, std::string_view what) {
  if (bytes.size() > limit)
    return InvalidArgument(std::string(what) + ": larger than " + std::to_string(limit) + " bytes");
  if (Sha256Hex(bytes) != hash) return InvalidArgument(std::string(what) + ": the bytes have another hash");
  StatusOr<Json> json = ParseJson(bytes, {.bytes = limit});
  if (!json.ok()) return Annotate(json.status(), what);
  return json;
}

// A hash or "" where the format allows nothing to be named.
bool IsHashOrEmpty(const Json& member) {
  if (!member.is_string()) return false;
  const std::string& text = member.get_ref<const std::string&>();
  return text.empty() || IsSha256Hex(text);
}

StatusOr<int64_t> ParseCount(const Json& object, std::string_view name) {
  const Json& member = GetMember(object, name);
  if (!member.is_number_integer()) return InvalidArgument(std::string(name) + ": not an integer");
  // A value above int64 would wrap in get(); it is out of bounds all the same.
  if (member.is_number_unsigned() && member.get<uint64_t>() > static_cast<uint64_t>(kGreatestInteger)) {
    return InvalidArgument(std::string(name) + ": out of bounds");
  }
  int64_t value = member.get<int64_t>();
  if (value < 0 || value > kGreatestInteger) return InvalidArgument(std::string(name) + ": out of bounds");
  return value;
}

StatusOr<ShardEntry> ParseEntry(const Json& json) {
  ShardEntry entry;
  entry.key = {GetString(json, "kind"), GetString(json, "namespace"), GetString(json, "name")};
  entry.uid = GetString(json, "uid");
  entry.hash = GetString(json, "hash");
  if (entry.key.kind.empty() || entry.key.name.empty()) return InvalidArgument("an entry without kind or name");
  if (!IsSha256Hex(entry.hash)) return InvalidArgument("an entry without a hash");
  ASSIGN_OR_RETURN(entry.generation, ParseCount(json, "generation"));
  entry.placement = GetMember(json, "placement");
  return entry;
}

Json Unsigned(const Head& head) {
  return {{"fleet", head.fleet},           {"trust", head.order.trust},
          {"epoch", head.order.epoch},     {"revision", head.order.revision},
          {"snapshot", head.snapshot},     {"time", head.time},
          {"validUntil", head.valid_until}};
}

StatusOr<std::string> EncodeBounded(const Json& json, size_t limit, std::string_view what) {
  StatusOr<std::string> bytes = Canonicalize(json);
  if (!bytes.ok()) return Annotate(bytes.status(), what);
  if (bytes->size() > limit) {
    return InvalidArgument(std::string(what) + ": " + std::to_string(bytes->size()) +
                           " bytes; allowed: " + std::to_string(limit));
  }
  return bytes;
}

}  // namespace

std::string_view HashOfBlobKey(std::string_view key) {
  for (std::string_view prefix : {kObjectPrefix, kShardPrefix, kSnapshotPrefix}) {
    if (key.substr(0, prefix.size()) == prefix) return key.substr(prefix.size());
  }
  return {};
}

std::string ToString(const HeadOrder& order) {
  return std::to_string(order.trust) + "." + std::to_string(order.epoch) + "." + std::to_string(order.revision);
}

StatusOr<HeadOrder> ParseHeadOrder(std::string_view text) {
  std::vector<std::string> parts = Split(text, '.');
  if (parts.size() != 3) return InvalidArgument("not of the form trust.epoch.revision");
  int64_t numbers[3];
  for (size_t i = 0; i < 3; ++i) {
    const char* end = parts[i].data() + parts[i].size();
    auto [at, error] = std::from_chars(parts[i].data(), end, numbers[i]);
    if (error != std::errc() || at != end || numbers[i] < 0 || numbers[i] > kGreatestInteger) {
      return InvalidArgument("not of the form trust.epoch.revision");
    }
  }
  return HeadOrder{numbers[0], numbers[1], numbers[2]};
}

std::string FullNameOf(const ObjectKey& key) {
  return key.kind + "/" + (key.namespace_.empty() ? "" : key.namespace_ + "/") + key.name;
}

size_t ShardOf(const ObjectKey& key) {
  std::string digest = Sha256Bytes(key.kind + "/" + key.namespace_ + "/" + key.name);
  return static_cast<unsigned char>(digest[0]) % kShardCount;
}

ShardEntry EntryOf(const Object& object, std::string_view hash) {
  ShardEntry entry{KeyOf(object), object.metadata.uid, object.metadata.generation, std::string(hash), nullptr};
  if (object.kind == kKindServer) entry.placement = GetMember(object.spec, "placement");
  return entry;
}

std::string EntryMismatch(const ShardEntry& entry, const Object& object) {
  const ObjectMeta& meta = object.metadata;
  if (object.kind != entry.key.kind || meta.namespace_ != entry.key.namespace_ || meta.name != entry.key.name) {
    return "the object is " + object.kind + "/" + meta.namespace_ + "/" + meta.name;
  }
  if (meta.uid != entry.uid) return "the object has another uid";
  if (meta.generation != entry.generation) return "the object has another generation";
  static const Json none;
  const Json& placement = object.kind == kKindServer ? GetMember(object.spec, "placement") : none;
  return placement == entry.placement ? "" : "the object has another placement";
}

StatusOr<std::string> EncodeHead(const Head& head) {
  Json json = Unsigned(head);
  json["signatures"] = head.signatures;
  return EncodeBounded(json, limits::kHeadBytes, "head");
}

std::string SignedText(const Head& head) {
  return std::string(kSignedHead) + Canonicalize(Unsigned(head)).value_or("");
}

StatusOr<std::string> EncodeSnapshot(const Snapshot& snapshot) {
  Json json = {{"parent", snapshot.parent},
               {"shards", snapshot.shards},
               {"message", snapshot.message},
               {"author", snapshot.author},
               {"time", snapshot.time}};
  return EncodeBounded(json, limits::kSnapshotBytes, "snapshot");
}

StatusOr<std::string> EncodeShard(const Shard& shard) {
  Json json = Json::array();
  for (const ShardEntry& entry : shard) {
    Json item = {{"kind", entry.key.kind}, {"namespace", entry.key.namespace_}, {"name", entry.key.name},
                 {"uid", entry.uid},       {"generation", entry.generation},    {"hash", entry.hash}};
    if (!entry.placement.is_null()) item["placement"] = entry.placement;
    json.push_back(std::move(item));
  }
  return EncodeBounded(json, limits::kShardBytes, "shard");
}

StatusOr<std::string> EncodeObject(const Object& object) {
  return EncodeBounded(ObjectToJson(object), limits::kObjectBytes,
                       object.kind + "/" + object.metadata.namespace_ + "/" + object.metadata.name);
}

StatusOr<Head> ParseHead(std::string_view bytes) {
  if (bytes.size() > limits::kHeadBytes) return InvalidArgument("head: larger than 4096 bytes");
  StatusOr<Json> parsed = ParseJson(bytes, {.bytes = limits::kHeadBytes, .depth = 8});
  if (!parsed.ok()) return Annotate(parsed.status(), "head");
  const Json& json = *parsed;
  Head head;
  head.fleet = GetString(json, "fleet");
  head.snapshot = GetString(json, "snapshot");
  head.time = GetString(json, "time");
  head.valid_until = GetString(json, "validUntil");
  if (const Json& signatures = GetMember(json, "signatures"); signatures.is_array()) head.signatures = signatures;
  if (head.fleet.empty() || head.fleet.size() > 64) return InvalidArgument("head: no fleet");
  if (!IsSha256Hex(head.snapshot)) return InvalidArgument("head: no snapshot");
  ASSIGN_OR_RETURN(head.order.trust, ParseCount(json, "trust"));
  ASSIGN_OR_RETURN(head.order.epoch, ParseCount(json, "epoch"));
  ASSIGN_OR_RETURN(head.order.revision, ParseCount(json, "revision"));
  return head;
}

StatusOr<Snapshot> ParseSnapshot(std::string_view bytes, std::string_view hash) {
  ASSIGN_OR_RETURN(Json json, ParseVerified(bytes, hash, limits::kSnapshotBytes, "snapshot"));
  const Json& shards = GetMember(json, "shards");
  if (!shards.is_array() || shards.size() != kShardCount) return InvalidArgument("snapshot: not 64 shards");
  if (!IsHashOrEmpty(GetMember(json, "parent"))) return InvalidArgument("snapshot: parent is no hash");
  Snapshot snapshot;
  for (size_t i = 0; i < kShardCount; ++i) {
    if (!IsHashOrEmpty(shards[i])) return InvalidArgument("snapshot: a shard is no hash");
    snapshot.shards[i] = shards[i].get<std::string>();
  }
  snapshot.parent = GetString(json, "parent");
  snapshot.message = GetString(json, "message");
  snapshot.author = GetString(json, "author");
  snapshot.time = GetString(json, "time");
  return snapshot;
}

StatusOr<Shard> ParseShard(std::string_view bytes, std::string_view hash) {
  ASSIGN_OR_RETURN(Json json, ParseVerified(bytes, hash, limits::kShardBytes, "shard"));
  if (!json.is_array()) return InvalidArgument("shard: not a list");
  Shard shard;
  shard.reserve(json.size());
  for (const Json& item : json) {
    StatusOr<ShardEntry> entry = ParseEntry(item);
    if (!entry.ok()) return Annotate(entry.status(), "shard");
    if (!shard.empty() && !(shard.back().key < entry->key)) return InvalidArgument("shard: entries out of order");
    shard.push_back(*std::move(entry));
  }
  return shard;
}

StatusOr<Object> ParseObjectBlob(std::string_view bytes, std::string_view hash) {
  ASSIGN_OR_RETURN(Json json, ParseVerified(bytes, hash, limits::kObjectBytes, "object"));
  return ObjectFromJson(json);
}

}  // namespace mcpfleet
