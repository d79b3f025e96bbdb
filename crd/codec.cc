#include "crd/codec.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "crd/field_reader.h"

namespace mcpfleet {
namespace {

// Members of a status.
class Reader : public FieldReader {
 public:
  explicit Reader(const char* what) : FieldReader(std::string(what) + ": ") {}
  void Time(const Json& object, const char* key, WallTime* out) {
    std::string text;
    Text(object, key, &text);
    if (text.empty()) return;
    StatusOr<WallTime> time = ParseTime(text);
    if (!time.ok()) return Fail(key, "is not a time");
    *out = *time;
  }
  void TextMap(const Json& object, const char* key, Labels* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_object()) return Fail(key, "is not a map");
    for (auto it = value.begin(); it != value.end(); ++it) {
      if (!it->is_string()) return Fail(key, "has a value that is not text");
      (*out)[it.key()] = it->get<std::string>();
    }
  }
  // A list of objects, each through `decode`.
  template <typename T>
  void List(const Json& object, const char* key, StatusOr<T> (*decode)(const Json&), std::vector<T>* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_array()) return Fail(key, "is not a list");
    for (const Json& item : value) {
      StatusOr<T> decoded = decode(item);
      if (!decoded.ok()) return Fail(key, Message(decoded.status()));
      out->push_back(*std::move(decoded));
    }
  }
};

void PutText(Json* out, const char* key, const std::string& value) {
  if (!value.empty()) (*out)[key] = value;
}
void PutNumber(Json* out, const char* key, int64_t value) {
  if (value != 0) (*out)[key] = value;
}
void PutTime(Json* out, const char* key, WallTime value) {
  if (value != WallTime{}) (*out)[key] = FormatTime(value);
}
template <typename T>
void PutList(Json* out, const char* key, const std::vector<T>& values, Json (*encode)(const T&)) {
  for (const T& value : values) (*out)[key].push_back(encode(value));
}
void PutTexts(Json* out, const char* key, const std::vector<std::string>& values) {
  if (!values.empty()) (*out)[key] = values;
}
void PutPart(Json* out, const char* key, Json part) {
  if (!part.empty()) (*out)[key] = std::move(part);
}

Json InstanceToJson(const InstanceSummary& instance) {
  Json out = {{"id", instance.id}, {"runtime", instance.runtime}, {"state", instance.state}};
  PutText(&out, "revision", instance.revision);
  PutTime(&out, "startedAt", instance.started_at);
  return out;
}

StatusOr<InstanceSummary> InstanceFromJson(const Json& json) {
  Reader reader("instance");
  InstanceSummary instance;
  reader.Text(json, "id", &instance.id);
  reader.Text(json, "runtime", &instance.runtime);
  reader.Text(json, "state", &instance.state);
  reader.Text(json, "revision", &instance.revision);
  reader.Time(json, "startedAt", &instance.started_at);
  if (!reader.status.ok()) return reader.status;
  return instance;
}

Json ServerInfoToJson(const ServerInfo& info) {
  Json out = Json::object();
  PutText(&out, "name", info.name);
  PutText(&out, "version", info.version);
  PutText(&out, "protocolVersion", info.protocol_version);
  PutTexts(&out, "capabilities", info.capabilities);
  return out;
}

// Counts are shown even when 0 once the tools were listed: "0 tools" is news.
Json CatalogToJson(const Catalog& catalog) {
  Json out = Json::object();
  bool listed = !catalog.tools_hash.empty() || catalog.tools != 0 || catalog.resources != 0 || catalog.prompts != 0;
  if (!listed && catalog.tool_names.empty()) return out;
  out = {{"tools", catalog.tools}, {"resources", catalog.resources}, {"prompts", catalog.prompts}};
  PutText(&out, "toolsHash", catalog.tools_hash);
  PutTexts(&out, "toolNames", catalog.tool_names);
  return out;
}

Json RestartsToJson(const Restarts& restarts) {
  Json out = {{"count", restarts.count}};
  if (restarts.last_exit_code) out["lastExitCode"] = *restarts.last_exit_code;
  PutNumber(&out, "lastSignal", restarts.last_signal);
  PutText(&out, "lastReason", restarts.last_reason);
  PutTime(&out, "lastAt", restarts.last_at);
  if (restarts.next_attempt_at) out["nextAttemptAt"] = FormatTime(*restarts.next_attempt_at);
  PutText(&out, "stderrTail", restarts.stderr_tail);
  return out;
}

void DecodeRestarts(const Json& json, Reader* reader, Restarts* out) {
  reader->Number(json, "count", &out->count);
  if (!GetMember(json, "lastExitCode").is_null()) {
    int code = 0;
    reader->Number(json, "lastExitCode", &code);
    out->last_exit_code = code;
  }
  reader->Number(json, "lastSignal", &out->last_signal);
  reader->Text(json, "lastReason", &out->last_reason);
  reader->Time(json, "lastAt", &out->last_at);
  WallTime next{};
  reader->Time(json, "nextAttemptAt", &next);
  if (next != WallTime{}) out->next_attempt_at = next;
  reader->Text(json, "stderrTail", &out->stderr_tail);
}

}  // namespace

std::string ToString(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return "True";
    case ConditionStatus::kFalse:
      return "False";
    case ConditionStatus::kUnknown:
      return "Unknown";
  }
  return "Unknown";
}

Json ObjectToJson(const Object& object) {
  Json metadata = {{"name", object.metadata.name}};
  PutText(&metadata, "namespace", object.metadata.namespace_);
  PutText(&metadata, "uid", object.metadata.uid);
  PutNumber(&metadata, "generation", object.metadata.generation);
  if (!object.metadata.labels.empty()) metadata["labels"] = object.metadata.labels;
  if (!object.metadata.annotations.empty()) metadata["annotations"] = object.metadata.annotations;
  PutText(&metadata, "creationTimestamp", object.metadata.creation_timestamp);
  return {{"apiVersion", object.api_version}, {"kind", object.kind}, {"metadata", metadata}, {"spec", object.spec}};
}

StatusOr<Object> ObjectFromJson(const Json& json) {
  if (!json.is_object()) return InvalidArgument("object: is not a map");
  Reader reader("object");
  Object object;
  object.api_version.clear();
  reader.Text(json, "apiVersion", &object.api_version);
  reader.Text(json, "kind", &object.kind);
  const Json& metadata = GetMember(json, "metadata");
  if (!metadata.is_object()) reader.Fail("metadata", "is missing");
  if (object.kind == kKindNode) object.metadata.namespace_.clear();
  reader.Text(metadata, "name", &object.metadata.name);
  reader.Text(metadata, "namespace", &object.metadata.namespace_);
  reader.Text(metadata, "uid", &object.metadata.uid);
  reader.Number(metadata, "generation", &object.metadata.generation);
  reader.TextMap(metadata, "labels", &object.metadata.labels);
  reader.TextMap(metadata, "annotations", &object.metadata.annotations);
  reader.Text(metadata, "creationTimestamp", &object.metadata.creation_timestamp);
  if (object.kind.empty()) reader.Fail("kind", "is missing");
  if (object.metadata.name.empty()) reader.Fail("metadata.name", "is missing");
  if (const Json& spec = GetMember(json, "spec"); !spec.is_null()) object.spec = spec;
  if (!object.spec.is_object()) reader.Fail("spec", "is not a map");
  if (!reader.status.ok()) return reader.status;
  return object;
}

bool IsUnschedulable(const Object& node) { return GetBool(node.spec, "unschedulable") || IsDrained(node); }
bool IsDrained(const Object& node) { return GetBool(node.spec, "drain"); }

Json ConditionToJson(const Condition& condition) {
  Json out = {{"type", condition.type},
              {"status", ToString(condition.status)},
              {"reason", condition.reason},
              {"message", condition.message}};
  PutNumber(&out, "observedGeneration", condition.observed_generation);
  out["lastTransitionTime"] = FormatTime(condition.last_transition_time);
  return out;
}

StatusOr<Condition> ConditionFromJson(const Json& json) {
  Reader reader("condition");
  Condition condition;
  std::string status;
  reader.Text(json, "type", &condition.type);
  reader.Text(json, "status", &status);
  if (status == "True") {
    condition.status = ConditionStatus::kTrue;
  } else if (status == "False") {
    condition.status = ConditionStatus::kFalse;
  } else if (status != "Unknown") {
    reader.Fail("status", "is none of True, False, Unknown");
  }
  reader.Number(json, "observedGeneration", &condition.observed_generation);
  reader.Time(json, "lastTransitionTime", &condition.last_transition_time);
  reader.Text(json, "reason", &condition.reason);
  reader.Text(json, "message", &condition.message);
  if (condition.type.empty()) reader.Fail("type", "is missing");
  if (!reader.status.ok()) return reader.status;
  return condition;
}

Json ServerStatusToJson(const ServerStatus& status) {
  Json out = {{"namespace", status.key.namespace_}, {"name", status.key.name}};
  PutText(&out, "uid", status.uid);
  PutNumber(&out, "observedGeneration", status.observed_generation);
  PutList(&out, "conditions", status.conditions, ConditionToJson);
  PutText(&out, "revision", status.revision);
  PutText(&out, "imageDigest", status.image_digest);
  PutText(&out, "endpoint", status.endpoint);
  PutPart(&out, "serverInfo", ServerInfoToJson(status.server_info));
  PutPart(&out, "catalog", CatalogToJson(status.catalog));
  PutList(&out, "instances", status.instances, InstanceToJson);
  out["restarts"] = RestartsToJson(status.restarts);
  return out;
}

StatusOr<ServerStatus> ServerStatusFromJson(const Json& json) {
  Reader reader("server status");
  ServerStatus status;
  reader.Text(json, "namespace", &status.key.namespace_);
  reader.Text(json, "name", &status.key.name);
  reader.Text(json, "uid", &status.uid);
  reader.Number(json, "observedGeneration", &status.observed_generation);
  reader.List(json, "conditions", ConditionFromJson, &status.conditions);
  reader.Text(json, "revision", &status.revision);
  reader.Text(json, "imageDigest", &status.image_digest);
  reader.Text(json, "endpoint", &status.endpoint);
  const Json& info = GetMember(json, "serverInfo");
  reader.Text(info, "name", &status.server_info.name);
  reader.Text(info, "version", &status.server_info.version);
  reader.Text(info, "protocolVersion", &status.server_info.protocol_version);
  reader.Texts(info, "capabilities", &status.server_info.capabilities);
  const Json& catalog = GetMember(json, "catalog");
  reader.Number(catalog, "tools", &status.catalog.tools);
  reader.Number(catalog, "resources", &status.catalog.resources);
  reader.Number(catalog, "prompts", &status.catalog.prompts);
  reader.Text(catalog, "toolsHash", &status.catalog.tools_hash);
  reader.Texts(catalog, "toolNames", &status.catalog.tool_names);
  reader.List(json, "instances", InstanceFromJson, &status.instances);
  DecodeRestarts(GetMember(json, "restarts"), &reader, &status.restarts);
  if (status.key.name.empty()) reader.Fail("name", "is missing");
  if (!reader.status.ok()) return reader.status;
  return status;
}

Json NodeStatusToJson(const NodeStatus& status) {
  Json out = {{"node", status.node}, {"sequence", status.sequence}};
  PutText(&out, "bootId", status.boot_id);
  PutText(&out, "version", status.version);
  PutTime(&out, "heartbeat", status.heartbeat);
  PutText(&out, "acceptedHead", status.accepted_head);
  PutText(&out, "snapshot", status.snapshot);
  PutTexts(&out, "runtimes", status.runtimes);
  Json capacity = Json::object();
  PutNumber(&capacity, "cpus", status.capacity.cpus);
  PutNumber(&capacity, "memoryBytes", status.capacity.memory_bytes);
  PutNumber(&capacity, "diskBytes", status.capacity.disk_bytes);
  PutPart(&out, "capacity", std::move(capacity));
  PutList(&out, "conditions", status.conditions, ConditionToJson);
  PutList(&out, "servers", status.servers, ServerStatusToJson);
  return out;
}

StatusOr<NodeStatus> NodeStatusFromJson(const Json& json) {
  Reader reader("node status");
  NodeStatus status;
  reader.Text(json, "node", &status.node);
  reader.Text(json, "bootId", &status.boot_id);
  reader.Number(json, "sequence", &status.sequence);
  reader.Text(json, "version", &status.version);
  reader.Time(json, "heartbeat", &status.heartbeat);
  reader.Text(json, "acceptedHead", &status.accepted_head);
  reader.Text(json, "snapshot", &status.snapshot);
  reader.Texts(json, "runtimes", &status.runtimes);
  const Json& capacity = GetMember(json, "capacity");
  reader.Number(capacity, "cpus", &status.capacity.cpus);
  reader.Number(capacity, "memoryBytes", &status.capacity.memory_bytes);
  reader.Number(capacity, "diskBytes", &status.capacity.disk_bytes);
  reader.List(json, "conditions", ConditionFromJson, &status.conditions);
  reader.List(json, "servers", ServerStatusFromJson, &status.servers);
  if (status.node.empty()) reader.Fail("node", "is missing");
  if (!reader.status.ok()) return reader.status;
  return status;
}

Json EventToJson(const Event& event) {
  Json out = {{"type", event.type},
              {"object", event.object},
              {"reason", event.reason},
              {"message", event.message},
              {"count", event.count}};
  PutTime(&out, "time", event.time);
  PutTime(&out, "firstTime", event.first_time);
  return out;
}

StatusOr<Event> EventFromJson(const Json& json) {
  Reader reader("event");
  Event event;
  reader.Time(json, "time", &event.time);
  reader.Text(json, "type", &event.type);
  reader.Text(json, "object", &event.object);
  reader.Text(json, "reason", &event.reason);
  reader.Text(json, "message", &event.message);
  reader.Number(json, "count", &event.count);
  reader.Time(json, "firstTime", &event.first_time);
  if (event.reason.empty()) reader.Fail("reason", "is missing");
  if (!reader.status.ok()) return reader.status;
  return event;
}

}  // namespace mcpfleet
