#include "store/kubernetes/status_entry.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "crd/codec.h"

namespace mcpfleet::kube {
namespace {

Json Document(const Resource& resource, Json status) {
  return {{"apiVersion", kApiVersion},
          {"kind", kKindServer},
          {"metadata",
           {{"name", resource.object->metadata.name},
            {"namespace", resource.object->metadata.namespace_},
            {"uid", resource.object->metadata.uid}}},
          {"status", std::move(status)}};
}

std::vector<Condition> ConditionsOf(const Json& holder) {
  std::vector<Condition> out;
  for (const Json& item : GetMember(holder, "conditions")) {
    if (StatusOr<Condition> condition = ConditionFromJson(item); condition.ok()) out.push_back(*std::move(condition));
  }
  return out;
}

int Rank(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return 0;
    case ConditionStatus::kUnknown:
      return 1;
    case ConditionStatus::kFalse:
      return 2;
  }
  return 0;
}

// What `entry` says of `type`, as of generation `generation`.
Condition Told(const Json& entry, const std::string& type, int64_t generation, bool silent) {
  Condition told{.type = type, .reason = "NotReported", .message = "not reported yet"};
  const std::vector<Condition> own = ConditionsOf(entry);
  if (const Condition* found = FindCondition(own, type); found != nullptr) told = *found;
  if (silent) {
    told.status = ConditionStatus::kUnknown;
    told.reason = "NodeSilent";
    told.message = "the node has not been heard of for some minutes";
  } else if (GetInt(entry, "observedGeneration") != generation) {
    told.status = ConditionStatus::kUnknown;
    told.reason = "Progressing";
    told.message = "the node has not seen generation " + std::to_string(generation) + " yet";
  }
  return told;
}

}  // namespace

Json EntryFrom(const ServerStatus& status, const std::string& node) {
  Json entry = ServerStatusToJson(status);
  for (const char* member : {"namespace", "name", "uid"}) entry.erase(member);
  entry["node"] = node;
  return entry;
}

Json TakenEntry(const Resource& resource, const std::string& node, const Json& before, WallTime now) {
  std::vector<Condition> conditions = ConditionsOf(before);
  std::erase_if(conditions, [](const Condition& c) { return c.type != "Accepted" && c.type != "Ready"; });
  for (const char* type : {"Accepted", "Ready"}) {
    SetCondition(&conditions,
                 {.type = type,
                  .status = ConditionStatus::kFalse,
                  .observed_generation = resource.object->metadata.generation,
                  .reason = kNameTaken,
                  .message = "the fleet's store has a server of this name for this node, which runs; rename one of "
                             "them or remove it there"},
                 now);
  }
  Json list = Json::array();
  for (const Condition& condition : conditions) list.push_back(ConditionToJson(condition));
  return {
      {"node", node}, {"observedGeneration", resource.object->metadata.generation}, {"conditions", std::move(list)}};
}

std::string DigestOf(const Json& entry) {
  Json copy = entry;
  if (copy.contains("restarts") && copy["restarts"].is_object()) copy["restarts"].erase("nextAttemptAt");
  return DumpJson(copy);
}

Json NodeApply(const Resource& resource, const Json& entry) {
  if (entry.is_null()) return Document(resource, Json::object());
  return Document(resource, {{"nodes", Json::array({entry})}});
}

Json MergedStatus(const Resource& resource, const std::set<std::string>& silent, WallTime now) {
  const int64_t generation = resource.object->metadata.generation;
  const Json& nodes = GetMember(resource.status, "nodes");
  std::vector<std::string> types{"Ready"};
  int64_t observed = 0;
  for (const Json& entry : nodes) {
    const int64_t own = GetInt(entry, "observedGeneration");
    observed = observed == 0 ? own : std::min(observed, own);
    for (const Condition& condition : ConditionsOf(entry)) {
      if (std::find(types.begin(), types.end(), condition.type) == types.end()) types.push_back(condition.type);
    }
  }
  std::vector<Condition> conditions = ConditionsOf(resource.status);
  std::erase_if(conditions,
                [&](const Condition& each) { return std::find(types.begin(), types.end(), each.type) == types.end(); });
  for (const std::string& type : types) {
    Condition worst{.type = type,
                    .observed_generation = generation,
                    .reason = "NotReported",
                    .message = "no node has reported this server yet"};
    bool first = true;
    for (const Json& entry : nodes) {
      const std::string node = GetString(entry, "node");
      Condition told = Told(entry, type, generation, silent.contains(node));
      if (nodes.size() > 1 && told.status != ConditionStatus::kTrue) told.message = node + ": " + told.message;
      if (first || Rank(told.status) > Rank(worst.status)) worst = std::move(told);
      first = false;
    }
    SetCondition(&conditions, std::move(worst), now);
  }
  Json list = Json::array();
  for (const Condition& condition : conditions) list.push_back(ConditionToJson(condition));
  Json merged = {{"conditions", std::move(list)}};
  if (observed != 0) merged["observedGeneration"] = observed;
  return merged;
}

bool SameMerged(const Json& merged, const Json& status) {
  // Their order is the API server's.
  const auto by_type = [](const Json& holder) {
    std::map<std::string, Json> out;
    for (const Json& condition : GetMember(holder, "conditions")) out[GetString(condition, "type")] = condition;
    return out;
  };
  return by_type(merged) == by_type(status) &&
         GetInt(merged, "observedGeneration") == GetInt(status, "observedGeneration");
}

Json MergedApply(const Resource& resource, const Json& merged) { return Document(resource, merged); }

Json FinalizerPatch(const Resource& resource, bool keep) {
  Json finalizers = Json::array();
  for (const std::string& each : resource.finalizers) {
    if (each != kFinalizer) finalizers.push_back(each);
  }
  if (keep) finalizers.push_back(kFinalizer);
  return {{"metadata",
           {{"uid", resource.object->metadata.uid},
            {"resourceVersion", resource.version},
            {"finalizers", std::move(finalizers)}}}};
}

}  // namespace mcpfleet::kube
