#include "gitops/sync_status.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "crd/codec.h"
#include "crd/object.h"

namespace mcpfleet {
namespace {

Json TimeJson(WallTime time) { return time == WallTime{} ? Json() : Json(FormatTime(time)); }

WallTime TimeOf(const Json& object, const char* key) { return ParseTime(GetString(object, key)).value_or(WallTime{}); }

// Only what is there.
void Put(Json* object, const char* key, Json value) {
  const bool empty = value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty());
  if (!empty) (*object)[key] = std::move(value);
}

Json CommitJson(const SyncCommit& commit) {
  if (commit.id.empty()) return nullptr;
  Json out = {{"commit", commit.id}};
  Put(&out, "subject", commit.subject);
  Put(&out, "author", commit.author);
  Put(&out, "signer", commit.signer);
  Put(&out, "time", TimeJson(commit.time));
  return out;
}

SyncCommit CommitOf(const Json& json) {
  return {GetString(json, "commit"), GetString(json, "subject"), GetString(json, "author"), GetString(json, "signer"),
          TimeOf(json, "time")};
}

}  // namespace

Json SyncStatusToJson(const SyncStatus& status) {
  Json conditions = Json::array();
  for (const Condition& condition : status.conditions) conditions.push_back(ConditionToJson(condition));
  Json said = {{"conditions", std::move(conditions)}, {"objects", status.objects}, {"pruned", status.pruned}};
  Put(&said, "seen", CommitJson(status.seen));
  Put(&said, "applied", CommitJson(status.applied));
  Put(&said, "appliedAt", TimeJson(status.applied_at));
  Put(&said, "head", status.head);
  Put(&said, "version", status.version);
  Put(&said, "reportedAt", TimeJson(status.reported_at));
  return {{"apiVersion", kApiVersion},
          {"kind", "GitSync"},
          {"metadata", {{"name", status.name}}},
          {"spec",
           {{"url", status.url},
            {"branch", status.branch},
            {"path", status.path},
            {"interval", FormatDuration(status.interval)}}},
          {"status", std::move(said)}};
}

StatusOr<SyncStatus> SyncStatusFromJson(const Json& json) {
  if (GetString(json, "kind") != "GitSync") return InvalidArgument("kind: is not GitSync");
  const Json &spec = GetMember(json, "spec"), &said = GetMember(json, "status");
  SyncStatus status;
  status.name = GetString(GetMember(json, "metadata"), "name");
  if (status.name.empty()) return InvalidArgument("metadata.name: is missing");
  status.url = GetString(spec, "url");
  status.branch = GetString(spec, "branch");
  status.path = GetString(spec, "path");
  status.interval = ParseDuration(GetString(spec, "interval")).value_or(Duration{});
  status.seen = CommitOf(GetMember(said, "seen"));
  status.applied = CommitOf(GetMember(said, "applied"));
  status.applied_at = TimeOf(said, "appliedAt");
  status.head = GetString(said, "head");
  status.objects = GetInt(said, "objects");
  status.pruned = GetInt(said, "pruned");
  status.version = GetString(said, "version");
  status.reported_at = TimeOf(said, "reportedAt");
  for (const Json& each : GetMember(said, "conditions")) {
    ASSIGN_OR_RETURN(Condition condition, ConditionFromJson(each));
    status.conditions.push_back(std::move(condition));
  }
  return status;
}

StatusOr<std::vector<SyncStatus>> ReadSyncStatuses(KvClient& state, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<KvKey> keys, ListAll(state, kSyncPrefix, kMostSyncs, deadline));
  std::vector<std::string> names;
  names.reserve(keys.size());
  for (const KvKey& key : keys) names.push_back(key.name);
  std::vector<SyncStatus> out;
  if (names.empty()) return out;
  ASSIGN_OR_RETURN(const auto values, BulkGetAll(state, names, deadline));
  for (const auto& [key, value] : values) {
    StatusOr<Json> json = ParseJson(value);
    StatusOr<SyncStatus> status = json.ok() ? SyncStatusFromJson(*json) : StatusOr<SyncStatus>(json.status());
    if (status.ok()) {
      out.push_back(*std::move(status));
    } else {
      LOG_DEBUG("not a sync's status", {{"key", key}, {"error", status.status()}});
    }
  }
  return out;
}

Status WriteSyncStatus(KvClient& state, const SyncStatus& status, Deadline deadline) {
  return state.Put(kSyncPrefix + status.name, DumpJson(SyncStatusToJson(status)), {}, deadline);
}

}  // namespace mcpfleet
