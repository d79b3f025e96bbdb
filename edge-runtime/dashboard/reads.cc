#include "edge-runtime/dashboard/reads.h"

#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "edge-runtime/dashboard/rows.h"
#include "store/proposal.h"
#include "store/reader.h"

namespace mcpfleet::dashboard {
namespace {

Json VersionJson(const Snapshot& snapshot) {
  return {
      {"parent", snapshot.parent}, {"message", snapshot.message}, {"author", snapshot.author}, {"time", snapshot.time}};
}

}  // namespace

bool IsSigned(const Head& head) { return head.order.trust > 0 || !head.signatures.empty(); }

StatusOr<Json> ReadDesired(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return Json{{"head", nullptr}, {"fleet", ""}, {"snapshot", ""}, {"signed", false}, {"time", ""}};
  return Json{{"head", ToString(head->order)},
              {"fleet", head->fleet},
              {"snapshot", head->snapshot},
              {"signed", IsSigned(*head)},
              {"time", head->time}};
}

StatusOr<Json> ReadVersions(KvClient& kv, std::string from, size_t most, std::string* next, Deadline deadline) {
  if (from.empty()) {
    ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(kv, deadline));
    if (head) from = head->snapshot;
  }
  // What gc took ends the history; that is no failure.
  const auto read = [&](const std::string& hash) {
    StatusOr<Snapshot> snapshot =
        hash.empty() ? StatusOr<Snapshot>(NotFound("none")) : ReadSnapshot(kv, hash, deadline);
    return snapshot.ok() ? std::optional<Snapshot>(*std::move(snapshot)) : std::nullopt;
  };
  Json rows = Json::array();
  std::optional<Snapshot> at = read(from);
  while (at && rows.size() < most) {
    std::optional<Snapshot> older = read(at->parent);
    int64_t changed = 0;
    for (size_t i = 0; i < kShardCount; ++i)
      changed += at->shards[i] != (older ? older->shards[i] : std::string()) ? 1 : 0;
    Json row = VersionJson(*at);
    row["snapshot"] = from;
    row["changedShards"] = changed;
    rows.push_back(std::move(row));
    from = at->parent;
    at = std::move(older);
  }
  *next = at ? from : "";
  return rows;
}

StatusOr<Json> ReadVersion(KvClient& kv, const std::string& hash, Deadline deadline) {
  ASSIGN_OR_RETURN(const Snapshot snapshot, ReadSnapshot(kv, hash, deadline));
  Json version = VersionJson(snapshot);
  version["shards"] = snapshot.shards;
  return version;
}

StatusOr<Json> ReadRows(KvClient& kv, const std::string& hash, bool* whole, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<KvValue> value, kv.Get(ShardBlobKey(hash), deadline));
  if (!value) return NotFound("shard " + hash.substr(0, 12) + " is not there");
  ASSIGN_OR_RETURN(const Shard shard, ParseShard(value->value, hash));
  std::vector<std::string> keys;
  for (const ShardEntry& entry : shard) keys.push_back(ObjectBlobKey(entry.hash));
  ASSIGN_OR_RETURN(const auto blobs, BulkGetAll(kv, keys, deadline));
  *whole = true;
  Json rows = Json::array();
  for (const ShardEntry& entry : shard) {
    const auto blob = blobs.find(ObjectBlobKey(entry.hash));
    StatusOr<Object> object =
        blob == blobs.end() ? StatusOr<Object>(NotFound("absent")) : ParseObjectBlob(blob->second, entry.hash);
    *whole = *whole && object.ok();
    rows.push_back(RowOf(entry, object.ok() ? &*object : nullptr));
  }
  return rows;
}

StatusOr<Json> ReadObjectJson(KvClient& kv, const std::string& hash, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<KvValue> value, kv.Get(ObjectBlobKey(hash), deadline));
  if (!value) return NotFound("object " + hash.substr(0, 12) + " is not there");
  ASSIGN_OR_RETURN(const Object object, ParseObjectBlob(value->value, hash));
  return ObjectToJson(object);
}

StatusOr<Json> ReadProposals(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<ProposalRow> proposals, ListProposals(kv, deadline));
  Json rows = Json::array();
  for (const ProposalRow& row : proposals) {
    rows.push_back({{"id", row.id},
                    {"author", row.author},
                    {"message", row.message},
                    {"time", row.time},
                    {"objects", row.objects}});
  }
  return rows;
}

}  // namespace mcpfleet::dashboard
