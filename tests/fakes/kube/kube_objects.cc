// What an API server does with objects: judges them, stores them, tells who watches, and keeps account of who owns
// which field.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/strings.h"
#include "crd/change_rules.h"
#include "crd/schema.h"
#include "tests/fakes/kube/kube_request.h"
#include "tests/fakes/kube/kube_schema.h"

namespace mcpfleet::testing {
namespace {

// What a person may not set, and what is none of a change's business.
Json Comparable(Json object) {
  object["metadata"].erase("resourceVersion");
  object["metadata"].erase("managedFields");
  return object;
}

}  // namespace

// A new version of an object: what all who watch are told.
void KubeApi::Settle(const Kind& kind, const Name& name, const std::string& type) {
  auto& objects = objects_[kind.plural];
  Json& object = objects[name].object;
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, type, object});
  const std::string line = EventLine(type, object);
  for (const Watcher& watcher : watchers_) {
    if (watcher.kind != &kind || (!watcher.namespace_.empty() && watcher.namespace_ != name.first)) continue;
    if (watcher.name.empty() || watcher.name == name.second) watcher.stream->Write(line);
  }
  if (type == "DELETED") objects.erase(name);
}

http::Response KubeApi::Judge(const Asked& asked, Json* object, bool strict) {
  const Kind& kind = *asked.target.kind;
  const std::string version = kind.group.empty() ? kind.version : kind.group + "/" + kind.version;
  if (GetString(*object, "kind") != kind.kind || GetString(*object, "apiVersion") != version)
    return Refusal(400, "BadRequest", "the object is no " + version + " " + kind.kind);
  Json content = *object;
  content.erase("metadata");
  Json schema = kind.schema;
  schema["properties"].erase("metadata");
  SchemaFaults faults = JudgeBySchema(content, schema);
  if (strict && !faults.unknown.empty())
    return Refusal(400, "BadRequest", "strict decoding error: unknown field \"" + faults.unknown.front() + "\"");
  PruneUnknown(&content, schema);
  if (kind.custom) {
    Schema::Builtin().ApplyDefaults(kind.kind, &content);
    Json whole = content;
    whole["metadata"] = (*object)["metadata"];
    for (const char* member :
         {"managedFields", "resourceVersion", "finalizers", "ownerReferences", "deletionTimestamp", "selfLink"})
      whole["metadata"].erase(member);
    for (const Violation& violation : Schema::Builtin().Validate(kind.kind, whole))
      faults.invalid.push_back(ToString(violation));
  }
  for (const Json& owner : GetMember((*object)["metadata"], "ownerReferences")) {
    for (const char* member : {"apiVersion", "kind", "name", "uid"}) {
      if (GetString(owner, member).empty())
        faults.invalid.push_back(std::string("metadata.ownerReferences[].") + member + ": must not be empty");
    }
  }
  if (!faults.invalid.empty()) return Refusal(422, "Invalid", kind.kind + " is invalid: " + Join(faults.invalid, "; "));
  content["metadata"] = (*object)["metadata"];
  *object = std::move(content);
  return {.status = 0, .headers = {}, .body = {}};
}

http::Response KubeApi::Create(const Asked& asked, Json object) {
  const Kind& kind = *asked.target.kind;
  Json& metadata = object["metadata"];
  if (!metadata.is_object()) return Refusal(422, "Invalid", "metadata: Required value");
  if (metadata.contains("resourceVersion"))
    return Refusal(400, "BadRequest", "resourceVersion should not be set on objects to be created");
  const Name name{asked.target.namespace_, GetString(metadata, "name")};
  if (name.second.empty()) return Refusal(422, "Invalid", "name or generateName is required");
  if (kind.namespaced && GetString(metadata, "namespace", name.first) != name.first)
    return Refusal(400, "BadRequest",
                   "the namespace of the provided object does not match the namespace sent on the request");
  if (objects_[kind.plural].contains(name))
    return Refusal(409, "AlreadyExists", kind.plural + " \"" + name.second + "\" already exists");
  if (kind.namespaced) metadata["namespace"] = name.first;
  metadata["uid"] = "00000000-0000-4000-8000-" + std::to_string(100000000000 + ++uids_);
  metadata["creationTimestamp"] = FormatTime(SystemClock().Wall());
  if (kind.custom) metadata["generation"] = 1;
  if (kind.status) object.erase("status");
  if (http::Response refused = Judge(asked, &object, asked.strict); refused.status != 0) return refused;
  Stored& stored = objects_[kind.plural][name];
  stored.object = std::move(object);
  Settle(kind, name, "ADDED");
  return Answer(201, stored.object);
}

http::Response KubeApi::Update(const Asked& asked, Stored* stored, Json next, const std::string& manager) {
  const Kind& kind = *asked.target.kind;
  const Json before = stored->object;
  Json& metadata = next["metadata"];
  for (const char* fixed : {"uid", "creationTimestamp", "generation", "deletionTimestamp", "name", "namespace"}) {
    metadata.erase(fixed);
    if (before["metadata"].contains(fixed)) metadata[fixed] = before["metadata"][fixed];
  }
  if (!asked.target.subresource.empty()) {
    Json whole = before;
    whole["status"] = GetMember(next, "status");
    if (whole["status"].is_null()) whole.erase("status");
    next = std::move(whole);
  } else if (kind.status) {
    next.erase("status");
    if (before.contains("status")) next["status"] = before["status"];
  }
  if (next["metadata"].contains("deletionTimestamp")) {
    for (const Json& finalizer : GetMember(next["metadata"], "finalizers")) {
      const Json& had = GetMember(before["metadata"], "finalizers");
      if (std::find(had.begin(), had.end(), finalizer) == had.end())
        return Refusal(422, "Invalid",
                       "metadata.finalizers: no new finalizers can be added if the object is being deleted");
    }
  }
  if (http::Response refused = Judge(asked, &next, asked.strict); refused.status != 0) return refused;
  if (kind.custom) {
    const auto object = [&](const Json& json) {
      Object out;
      out.kind = kind.kind;
      out.spec = GetMember(json, "spec");
      return out;
    };
    if (const auto found = ValidateChange(object(before), object(next)); !found.empty())
      return Refusal(422, "Invalid", kind.kind + " is invalid: " + ToString(found));
  }
  if (kind.custom && GetMember(next, "spec") != GetMember(before, "spec"))
    next["metadata"]["generation"] = GetInt(before["metadata"], "generation") + 1;
  if (Comparable(next) == Comparable(before)) return Answer(200, before);
  const Fields old = FieldsOf(before, kind.schema), now = FieldsOf(next, kind.schema);
  for (const auto& [path, value] : now) {
    const auto same = old.find(path);
    if (same != old.end() && same->second == value) continue;
    for (auto& [who, fields] : stored->managers) {
      if (who != manager) fields.erase(path);
    }
    stored->managers[manager].insert(path);
  }
  stored->object = std::move(next);
  const Name name = asked.name();
  const bool last = stored->object["metadata"].contains("deletionTimestamp") &&
                    GetMember(stored->object["metadata"], "finalizers").empty();
  const Json object = stored->object;
  Settle(kind, name, last ? "DELETED" : "MODIFIED");
  return Answer(200, last ? object : stored->object);
}

http::Response KubeApi::Replace(const Asked& asked, Json object) {
  auto& objects = objects_[asked.target.kind->plural];
  const auto found = objects.find(asked.name());
  if (found == objects.end()) return Refusal(404, "NotFound", "\"" + asked.target.name + "\" not found");
  const std::string version = Meta(object, "resourceVersion");
  if (version.empty())
    return Refusal(422, "Invalid", "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update");
  if (version != Meta(found->second.object, "resourceVersion"))
    return Refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
  return Update(asked, &found->second, std::move(object), asked.manager + "/Update/" + asked.target.subresource);
}

http::Response KubeApi::MergePatch(const Asked& asked, const Json& patch) {
  auto& objects = objects_[asked.target.kind->plural];
  const auto found = objects.find(asked.name());
  if (found == objects.end()) return Refusal(404, "NotFound", "\"" + asked.target.name + "\" not found");
  Json next = found->second.object;
  for (const char* field : {"resourceVersion", "uid"}) {
    if (const std::string wanted = Meta(patch, field); !wanted.empty() && wanted != Meta(next, field))
      return Refusal(409, "Conflict", std::string("the object has been modified: ") + field + " differs");
  }
  next.merge_patch(patch);
  return Update(asked, &found->second, std::move(next), asked.manager + "/Update/" + asked.target.subresource);
}

http::Response KubeApi::Apply(const Asked& asked, const Json& applied) {
  const Kind& kind = *asked.target.kind;
  if (asked.manager.empty()) return Refusal(400, "BadRequest", "fieldManager is required for apply patch");
  if (!GetMember(GetMember(applied, "metadata"), "managedFields").is_null())
    return Refusal(400, "BadRequest", "metadata.managedFields must be nil");
  auto& objects = objects_[kind.plural];
  auto found = objects.find(asked.name());
  if (Meta(applied, "name") != asked.target.name)
    return Refusal(400, "BadRequest", "the name of the object does not match the name on the URL");
  Json content = applied;
  if (SchemaFaults faults = JudgeBySchema(content, kind.schema); !faults.unknown.empty())
    return Refusal(500, "InternalError",
                   "failed to create typed patch object: " + faults.unknown.front() + ": field not declared in schema");
  if (found == objects.end()) {
    if (!asked.target.subresource.empty()) return Refusal(404, "NotFound", "\"" + asked.target.name + "\" not found");
    if (!Meta(applied, "uid").empty())
      return Refusal(409, "Conflict", "uid mismatch: and no existing object was found");
    http::Response created = Create(asked, std::move(content));
    if (created.status != 201) return created;
    for (const auto& [path, value] : FieldsOf(applied, kind.schema))
      objects[asked.name()].managers[asked.manager + "/Apply/"].insert(path);
    return created;
  }
  Stored& stored = found->second;
  for (const char* field : {"resourceVersion", "uid"}) {
    // Of a custom resource's status nothing of the metadata is taken but the version.
    if (kind.custom && !asked.target.subresource.empty() && std::string_view(field) == "uid") continue;
    if (const std::string wanted = Meta(applied, field); !wanted.empty() && wanted != Meta(stored.object, field))
      return Refusal(409, "Conflict", std::string("Operation cannot be fulfilled: ") + field + " differs");
  }
  for (const char* fixed : {"resourceVersion", "uid"}) content["metadata"].erase(fixed);
  if (asked.target.subresource.empty()) content.erase("status");
  const std::string who = asked.manager + "/Apply/" + asked.target.subresource;
  Fields mine = FieldsOf(content, kind.schema);
  std::erase_if(mine, [](const auto& field) {
    return field.first == ".kind" || field.first == ".apiVersion" || field.first == ".metadata.name" ||
           field.first == ".metadata.namespace" || field.first == ".status";
  });
  const Fields live = FieldsOf(stored.object, kind.schema);
  std::string conflict;
  for (const auto& [path, value] : mine) {
    const auto there = live.find(path);
    if (there == live.end() || there->second == value) continue;
    for (auto& [other, fields] : stored.managers) {
      if (other == who || !fields.contains(path)) continue;
      if (!asked.force) conflict = "conflict with \"" + other + "\": " + path;
      if (asked.force) fields.erase(path);
    }
  }
  if (!conflict.empty()) return Refusal(409, "Conflict", "Apply failed with 1 conflict: " + conflict);
  std::set<std::string> doomed;
  for (const std::string& path : stored.managers[who]) {
    const bool others = std::any_of(stored.managers.begin(), stored.managers.end(), [&, at = path](const auto& other) {
      return other.first != who && other.second.contains(at);
    });
    if (!mine.contains(path) && !others) doomed.insert(path);
  }
  Json next = stored.object;
  RemoveFields(doomed, kind.schema, &next);
  ApplyOver(content, kind.schema, &next);
  std::set<std::string> owned;
  for (const auto& [path, value] : mine) owned.insert(path);
  stored.managers[who] = owned;
  http::Response updated = Update(asked, &stored, std::move(next), who);
  return updated;
}

http::Response KubeApi::Delete(const Asked& asked) {
  const Kind& kind = *asked.target.kind;
  auto& objects = objects_[kind.plural];
  const auto found = objects.find(asked.name());
  if (found == objects.end()) return Refusal(404, "NotFound", "\"" + asked.target.name + "\" not found");
  Json& metadata = found->second.object["metadata"];
  const Json object = found->second.object;
  if (!asked.request.body.empty()) {
    const StatusOr<Json> options = ParseJson(asked.request.body);
    if (!options.ok() || GetString(*options, "kind", "DeleteOptions") != "DeleteOptions")
      return Refusal(400, "BadRequest", "the body is no DeleteOptions");
    for (const char* field : {"resourceVersion", "uid"}) {
      const std::string wanted = GetString(GetMember(*options, "preconditions"), field);
      if (!wanted.empty() && wanted != Meta(object, field))
        return Refusal(409, "Conflict", std::string("Precondition failed: ") + field + " differs");
    }
  }
  if (GetMember(metadata, "finalizers").empty()) {
    Settle(kind, asked.name(), "DELETED");
    return Answer(200, object);
  }
  if (!metadata.contains("deletionTimestamp")) {
    metadata["deletionTimestamp"] = FormatTime(SystemClock().Wall());
    if (kind.custom) metadata["generation"] = GetInt(metadata, "generation") + 1;
    Settle(kind, asked.name(), "MODIFIED");
  }
  return Answer(200, found->second.object);
}

}  // namespace mcpfleet::testing
