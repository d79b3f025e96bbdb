#include "edge-runtime/dashboard/changes.h"

#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "crd/schema.h"
#include "edge-runtime/dashboard/reads.h"
#include "gitops/change_checks.h"
#include "store/proposal.h"
#include "store/reader.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMessageBytes = 1024;
constexpr size_t kMostViolations = 50;  // of one object: more help nobody

std::vector<Violation> Judge(const Json& object) {
  if (!object.is_object()) return {{.problem = "is no object", .allowed = "apiVersion, kind, metadata, spec"}};
  const std::string kind = GetString(object, "kind");
  if (kind == kKindSecret) {
    return {{.path = "kind", .problem = "secrets are never typed into a page: use mcpctl create secret"}};
  }
  const KindSchema* known = Schema::Builtin().Find(kind);
  if (known == nullptr || known->kind != kind) {
    return {{.path = "kind",
             .problem = kind.empty() ? "is missing" : "unknown value \"" + kind.substr(0, 80) + "\"",
             .allowed = "MCPServer, MCPNode"}};
  }
  return Schema::Builtin().Validate(kind, object);
}

std::string NameOf(const ObjectKey& key) { return key.kind + "/" + key.namespace_ + "/" + key.name; }

// The object as it is stored now; nullopt: it is not there.
StatusOr<std::optional<Object>> FindObject(KvClient& kv, const ObjectKey& key, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(kv, deadline));
  if (!head) return std::optional<Object>();
  ASSIGN_OR_RETURN(const Snapshot whole, ReadSnapshot(kv, head->snapshot, deadline));
  Snapshot only;  // the one shard that can hold it
  only.shards[ShardOf(key)] = whole.shards[ShardOf(key)];
  ASSIGN_OR_RETURN(const auto entries, ReadEntries(kv, only, deadline));
  const auto entry = entries.find(key);
  if (entry == entries.end()) return std::optional<Object>();
  ASSIGN_OR_RETURN(const std::optional<KvValue> blob, kv.Get(ObjectBlobKey(entry->second.hash), deadline));
  if (!blob) return Unavailable(NameOf(key) + ": its object is not there (yet)");
  ASSIGN_OR_RETURN(Object object, ParseObjectBlob(blob->value, entry->second.hash));
  return std::optional<Object>(std::move(object));
}

Json ResultJson(const ApplyResult& result) {
  Json changes = Json::array();
  for (const ObjectChange& change : result.changes) {
    changes.push_back({{"kind", change.key.kind},
                       {"namespace", change.key.namespace_},
                       {"name", change.key.name},
                       {"change", WordFor(change.kind)},
                       {"generation", change.generation}});
  }
  Json head = nullptr;
  if (result.head) head = ToString(result.head->order);
  return {{"changes", std::move(changes)}, {"head", std::move(head)}, {"moved", result.moved}, {"proposal", nullptr}};
}

// What the dry run `decided` of `changes` is written down for somebody with a head key. Its id.
StatusOr<std::string> WriteProposal(KvClient& kv, const ChangeSet& changes, const ApplyResult& decided,
                                    const ChangeAbout& about, const Clock& clock, Deadline deadline) {
  Proposal proposal{.fleet = decided.head->fleet,
                    .base = decided.head->snapshot,
                    .message = about.message,
                    .author = about.author,
                    .time = FormatTime(clock.Wall())};
  for (size_t i = 0; i < changes.set.size(); ++i) {
    if (decided.changes.at(i).kind == ChangeKind::kUnchanged) continue;
    Object object = changes.set[i];
    if (object.kind == kKindSecret) return InvalidArgument(NameOf(KeyOf(object)) + ": secrets are changed with mcpctl");
    ASSIGN_OR_RETURN(const std::optional<Object> stored, FindObject(kv, KeyOf(object), deadline));
    if (stored && changes.manifests) KeepOwnNotes(*stored, &object);
    proposal.set.push_back(std::move(object));
  }
  for (size_t i = 0; i < changes.remove.size(); ++i) {
    if (decided.changes.at(changes.set.size() + i).kind == ChangeKind::kDeleted)
      proposal.remove.push_back(changes.remove[i]);
  }
  return Propose(kv, proposal, deadline);
}

StatusOr<ObjectKey> ParseKey(const Json& json) {
  const ObjectKey key{GetString(json, "kind"), GetString(json, "namespace"), GetString(json, "name")};
  if (key.kind.empty() || key.name.empty()) return InvalidArgument("remove: an object without kind or name");
  if (key.kind == kKindSecret) return InvalidArgument("remove: secrets are changed with mcpctl");
  return key;
}

// Everything that brings the fleet back to `snapshot`.
StatusOr<ChangeSet> ChangesBackTo(KvClient& kv, const std::string& snapshot, const Head& head, Deadline deadline) {
  ASSIGN_OR_RETURN(StoredState then, ReadStateAt(kv, snapshot, deadline));
  if (!then.missing.empty()) return Unavailable("snapshot " + snapshot.substr(0, 12) + ": " + then.missing[0]);
  ASSIGN_OR_RETURN(const Snapshot now, ReadSnapshot(kv, head.snapshot, deadline));
  ASSIGN_OR_RETURN(const auto entries, ReadEntries(kv, now, deadline));
  ChangeSet changes;
  for (auto& [key, object] : then.objects) {
    const auto current = entries.find(key);
    if (current == entries.end() || current->second.hash != then.entries.at(key).hash)
      changes.set.push_back(std::move(object));
  }
  for (const auto& [key, entry] : entries) {
    if (!then.entries.contains(key)) changes.remove.push_back(key);
  }
  return changes;
}

}  // namespace

Json ValidateObjects(const Json& objects) {
  Json answer = Json::array();
  for (const Json& object : objects) {
    Json list = Json::array();
    for (const Violation& violation : Judge(object)) {
      if (list.size() == kMostViolations) break;
      list.push_back({{"path", violation.path}, {"problem", violation.problem}, {"allowed", violation.allowed}});
    }
    answer.push_back(std::move(list));
  }
  return answer;
}

StatusOr<ChangeSet> ParseChanges(const Json& body, ChangeAbout* about) {
  if (!body.is_object()) return InvalidArgument("the body: is no object");
  const Json& set = GetMember(body, "set");
  const Json& remove = GetMember(body, "remove");
  if ((!set.is_null() && !set.is_array()) || (!remove.is_null() && !remove.is_array()))
    return InvalidArgument("the body: set and remove are lists");
  if (set.size() > kMostObjects || remove.size() > kMostObjects)
    return InvalidArgument("the body: at most " + std::to_string(kMostObjects) + " objects in one change");
  if (set.empty() && remove.empty()) return InvalidArgument("set and remove are both empty");
  about->message = GetString(body, "message").substr(0, kMessageBytes);
  if (about->message.empty()) about->message = "from the dashboard";
  about->dry_run = GetBool(body, "dryRun");
  if (body.contains("base")) about->base = GetString(body, "base");  // null: ""
  ChangeSet changes{.manifests = true};
  std::set<ObjectKey> named;
  const auto once = [&](const ObjectKey& key) {
    return named.insert(key).second ? OkStatus() : InvalidArgument(NameOf(key) + ": given twice");
  };
  for (const Json& manifest : set) {
    const std::vector<Violation> wrong = Judge(manifest);
    StatusOr<Object> object = ObjectFromJson(manifest);
    if (!wrong.empty()) {
      const std::string name = object.ok() ? NameOf(KeyOf(*object)) + ": " : "";
      return InvalidArgument(name + ToString(wrong.front()));
    }
    if (!object.ok()) return object.status();
    if (object->api_version.empty()) object->api_version = kApiVersion;
    RETURN_IF_ERROR(once(KeyOf(*object)));
    changes.set.push_back(*std::move(object));
  }
  for (const Json& each : remove) {
    ASSIGN_OR_RETURN(ObjectKey key, ParseKey(each));
    RETURN_IF_ERROR(once(key));
    changes.remove.push_back(std::move(key));
  }
  return changes;
}

StatusOr<Json> Change(KvClient& kv, const ChangeSet& changes, const ChangeAbout& about, const Clock& clock,
                      Deadline deadline) {
  // As mcpctl does: an embedded store knows of no node whether it is down.
  if (const Object* replicated = FindReplicated(changes); replicated != nullptr)
    RETURN_IF_ERROR(JudgeReplicas(*replicated, FailedPrecondition("this store has no Worker")));
  WriteOptions options{.message = about.message, .author = about.author, .dry_run = about.dry_run};
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(kv, deadline));
  if (about.base && *about.base != (head ? ToString(head->order) : ""))
    return Aborted("the fleet is another one than was looked at; nothing was changed");
  const bool propose = head && IsSigned(*head);
  if (propose) options.dry_run = true;
  ASSIGN_OR_RETURN(const ApplyResult result, Apply(kv, changes, options, clock, deadline));
  Json json = ResultJson(result);
  bool news = false;
  for (const ObjectChange& change : result.changes)
    news = news || (change.kind != ChangeKind::kUnchanged && change.kind != ChangeKind::kAbsent);
  if (!propose || about.dry_run || !news) return json;
  ASSIGN_OR_RETURN(json["proposal"], WriteProposal(kv, changes, result, about, clock, deadline));
  return json;
}

StatusOr<Json> RollBackTo(KvClient& kv, const std::string& snapshot, const ChangeAbout& about, const Clock& clock,
                          Deadline deadline) {
  ASSIGN_OR_RETURN(const Head head, PresentHead(kv, deadline));
  ASSIGN_OR_RETURN(const ChangeSet changes, ChangesBackTo(kv, snapshot, head, deadline));
  return Change(kv, changes, about, clock, deadline);
}

StatusOr<Json> ChangeServer(KvClient& kv, std::string_view action, const ObjectKey& server, const ChangeAbout& about,
                            const Clock& clock, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<Object> object, FindObject(kv, server, deadline));
  if (!object) return NotFound(NameOf(server) + " is not there");
  if (action == "restart") object->metadata.annotations[kRestartedAtAnnotation] = FormatTime(clock.Wall());
  if (action == "suspend") object->spec["suspend"] = true;
  if (action == "resume") object->spec.erase("suspend");
  return Change(kv, {.set = {*std::move(object)}}, about, clock, deadline);
}

StatusOr<Json> ChangeNode(KvClient& kv, std::string_view action, const std::string& node, const ChangeAbout& about,
                          const Clock& clock, Deadline deadline) {
  const ObjectKey key{kKindNode, "", node};
  ASSIGN_OR_RETURN(std::optional<Object> found, FindObject(kv, key, deadline));
  if (!found && action == "uncordon") return Change(kv, {.remove = {key}}, about, clock, deadline);
  Object object = found ? *std::move(found) : Object{.kind = kKindNode};
  object.metadata.name = node;
  object.metadata.namespace_ = "";
  if (action == "uncordon") {
    object.spec.erase("unschedulable");
    object.spec.erase("drain");
  } else {
    object.spec["unschedulable"] = true;
    if (action == "drain") object.spec["drain"] = true;
  }
  if (const std::vector<Violation> wrong = Judge(ObjectToJson(object)); !wrong.empty())
    return InvalidArgument(ToString(wrong.front()));
  return Change(kv, {.set = {std::move(object)}}, about, clock, deadline);
}

}  // namespace mcpfleet::dashboard
