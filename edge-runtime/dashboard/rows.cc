#include "edge-runtime/dashboard/rows.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "crd/codec.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMessageBytes = 512;

std::string SourceOf(const Json& spec) {
  const Json& source = GetMember(spec, "source");
  const Json& package = GetMember(source, "package");
  if (package.is_object())
    return GetString(package, "manager") + ":" + GetString(package, "name") + "@" + GetString(package, "version");
  std::string image = GetString(GetMember(source, "image"), "ref");
  if (!image.empty()) return image;
  const std::string path = GetString(GetMember(source, "process"), "path");
  return !path.empty() ? path : GetString(GetMember(source, "remote"), "url");
}

// The member, or null where it has another type.
Json Typed(const Json& object, const char* key, Json::value_t type) {
  const Json& member = GetMember(object, key);
  return member.type() == type ? member : Json();
}

Json NumberOf(const Json& object, const char* key) {
  const Json& member = GetMember(object, key);
  return member.is_number_integer() ? member : Json();
}

}  // namespace

Json RowOf(const ShardEntry& entry, const Object* object) {
  const Json spec = object == nullptr ? Json::object() : object->spec;
  return {
      {"kind", entry.key.kind},
      {"namespace", entry.key.namespace_},
      {"name", entry.key.name},
      {"uid", entry.uid},
      {"generation", entry.generation},
      {"hash", entry.hash},
      {"created", object == nullptr ? "" : object->metadata.creation_timestamp},
      {"labels", object == nullptr ? Json(Json::object()) : Json(object->metadata.labels)},
      {"source", SourceOf(spec)},
      {"suspended", GetBool(spec, "suspend")},
      {"unschedulable", object != nullptr && IsUnschedulable(*object)},
      {"drained", object != nullptr && IsDrained(*object)},
      {"replicas", NumberOf(entry.placement, "replicas")},
      {"nodes", Typed(entry.placement, "nodes", Json::value_t::array)},
      {"selector", Typed(entry.placement, "nodeSelector", Json::value_t::object)},
      {"hostname", GetString(GetMember(spec, "expose"), "hostname")},
  };
}

Json SummaryOf(const ServerStatus& server) {
  const Condition* ready = FindCondition(server.conditions, "Ready");
  const Condition* pins = FindCondition(server.conditions, "ToolsPinned");
  const bool looping = std::any_of(server.conditions.begin(), server.conditions.end(),
                                   [](const Condition& condition) { return condition.reason == "CrashLoopBackOff"; });
  std::string violated;
  if (pins != nullptr && pins->status == ConditionStatus::kFalse)
    violated = pins->message.empty() ? pins->reason : pins->message.substr(0, kMessageBytes);
  return {
      {"namespace", server.key.namespace_},
      {"name", server.key.name},
      {"ready", ready == nullptr ? "Unknown" : ToString(ready->status)},
      {"reason", ready == nullptr ? "NotReported" : ready->reason},
      {"message", ready == nullptr ? "" : ready->message.substr(0, kMessageBytes)},
      {"looping", looping},
      {"pinsViolated", violated},
      {"restarts", server.restarts.count},
      {"tools", server.catalog.tools},
      {"protocol", server.server_info.protocol_version},
      {"generation", server.observed_generation},
      {"revision", server.revision},
      {"endpoint", server.endpoint},
  };
}

Json NodeOf(const NodeStatus& status, bool connected) {
  Json conditions = Json::array();
  for (const Condition& condition : status.conditions) conditions.push_back(ConditionToJson(condition));
  return {
      {"node", status.node},
      {"connected", connected},
      {"lastSeen", ToMillis(status.heartbeat)},
      {"cloned", false},
      {"version", status.version},
      {"head", status.accepted_head},
      {"runtimes", status.runtimes},
      {"conditions", std::move(conditions)},
      {"capacity",
       {{"cpus", status.capacity.cpus},
        {"memoryBytes", status.capacity.memory_bytes},
        {"diskBytes", status.capacity.disk_bytes}}},
  };
}

}  // namespace mcpfleet::dashboard
