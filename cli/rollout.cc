#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/change.h"
#include "cli/fleet.h"
#include "cli/table.h"
#include "cli/text_diff.h"
#include "cli/trust_root.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "store/reader.h"
#include "store/snapshot.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kHistory = 50;

struct RolloutOptions {
  ResourceOptions resources;
  std::string timeout = "5m", to;
  size_t revision = 0;
  bool watch = true;
};

// One object's versions, newest first: the snapshots in which it changed.
struct Version {
  std::string snapshot, message, author, time;
  ShardEntry entry;
};

StatusOr<std::vector<Version>> VersionsOf(KvClient& kv, const std::optional<Head>& head, const ObjectKey& key,
                                          Deadline deadline) {
  ASSIGN_OR_RETURN(std::vector<HistoryEntry> history,
                   ReadHistoryFrom(kv, head ? head->snapshot : "", kHistory, deadline));
  std::vector<Version> versions;
  for (const HistoryEntry& entry : history) {
    Snapshot only;  // the one shard that can hold the object
    only.shards[ShardOf(key)] = entry.snapshot.shards[ShardOf(key)];
    auto entries = ReadEntries(kv, only, deadline);
    if (!entries.ok()) break;  // older than what gc kept
    auto found = entries->find(key);
    if (found == entries->end()) {
      if (!versions.empty()) break;
      continue;
    }
    Version version{entry.hash, entry.snapshot.message, entry.snapshot.author, entry.snapshot.time, found->second};
    if (!versions.empty() && versions.back().entry.hash == version.entry.hash) {
      versions.back() = version;  // the snapshot that brought it is the oldest with this content
    } else {
      versions.push_back(version);
    }
  }
  if (versions.empty()) return NotFound(Described(key) + " is not in the history");
  return versions;
}

StatusOr<ObjectKey> OneServer(Session& session, const RolloutOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources, kKindServer));
  if (selection.names.size() != 1)
    return InvalidArgument("one server at a time, for example: mcpctl rollout history weather");
  return ObjectKey{selection.kind, selection.namespace_, selection.names.front()};
}

// The version of a generation, or with 0 the one before: what has the present generation differs in labels only.
StatusOr<Object> ReadVersion(KvClient& kv, const ObjectKey& key, const std::vector<Version>& versions,
                             size_t generation, Deadline deadline) {
  auto target = std::find_if(versions.begin(), versions.end(), [&](const Version& version) {
    return generation == 0 ? version.entry.generation != versions.front().entry.generation
                           : version.entry.generation == static_cast<int64_t>(generation);
  });
  if (target == versions.end())
    return NotFound(Described(key) + ": no such version in the history; see: mcpctl rollout history " + key.name);
  ASSIGN_OR_RETURN(std::optional<KvValue> blob, kv.Get(ObjectBlobKey(target->entry.hash), deadline));
  if (!blob.has_value())
    return NotFound(Described(key) + ": generation " + std::to_string(target->entry.generation) + " was removed by gc");
  return ParseObjectBlob(blob->value, target->entry.hash);
}

Status RunHistory(Session& session, const RolloutOptions& options) {
  ASSIGN_OR_RETURN(ObjectKey key, OneServer(session, options));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(*kv, deadline));
  ASSIGN_OR_RETURN(std::vector<Version> versions, VersionsOf(*kv, head, key, deadline));
  if (options.revision != 0) {
    ASSIGN_OR_RETURN(Object object, ReadVersion(*kv, key, versions, options.revision, deadline));
    session.out() << ObjectToYaml(ObjectToJson(object));
    return OkStatus();
  }
  Table table({"GENERATION", "TIME", "AUTHOR", "SNAPSHOT", "MESSAGE"});
  for (const Version& version : versions) {
    table.Add({std::to_string(version.entry.generation), version.time, Printable(version.author, 40),
               version.snapshot.substr(0, 12), Printable(version.message, 80)});
  }
  table.Print(session.out());
  return OkStatus();
}

Status RunUndo(Session& session, const RolloutOptions& options) {
  ASSIGN_OR_RETURN(ObjectKey key, OneServer(session, options));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadTrustedHead(session, ReadFor::kToSign, deadline));
  ASSIGN_OR_RETURN(std::vector<Version> versions, VersionsOf(*kv, head, key, deadline));
  ASSIGN_OR_RETURN(Object object, ReadVersion(*kv, key, versions, options.revision, deadline));
  return WriteChanges(session, {.set = {object}}, "undo to generation " + std::to_string(object.metadata.generation),
                      false)
      .status();
}

Status RunRestart(Session& session, const RolloutOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources, kKindServer));
  RETURN_IF_ERROR(CheckDeliberate(selection, options.resources));
  std::string now = FormatTime(session.clock().Wall());
  return ChangeObjects(session, selection, "restart", [&](Object* object) {
    object->metadata.annotations[kRestartedAtAnnotation] = now;
    return OkStatus();
  });
}

Status RunStatus(Session& session, const RolloutOptions& options) {
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  ASSIGN_OR_RETURN(ObjectKey key, OneServer(session, options));
  if (options.watch) return WaitFor(session, {{.key = key}}, timeout);
  // How it stands, said once: not Ready yet is no failure then.
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
  ASSIGN_OR_RETURN(std::vector<const Object*> found,
                   Find(fleet, {.kind = key.kind, .namespace_ = key.namespace_, .names = {key.name}}));
  const ServerView view = ViewOf(fleet, *found.front(), session.clock().Wall());
  const Condition ready = Merged(view, "Ready");
  if (ready.status == ConditionStatus::kTrue) {
    session.out() << Described(key) << " condition met\n";
  } else {
    session.err() << Described(key) << ": " << Unmet(view, ready) << "\n";
  }
  return OkStatus();
}

}  // namespace

void RegisterRollout(CLI::App& root, Session& session) {
  auto* rollout = root.add_subcommand("rollout", "Versions of a server: status, history, undo, restart");
  rollout->require_subcommand(1);
  rollout->footer(
      "Examples:\n  mcpctl rollout status weather\n  mcpctl rollout history weather\n"
      "  mcpctl rollout undo weather --to-generation 3\n  mcpctl rollout restart weather");
  auto options = std::make_shared<RolloutOptions>();
  const auto add = [&](const char* name, const char* help, Status (*run)(Session&, const RolloutOptions&),
                       bool many = false) {
    auto* command = rollout->add_subcommand(name, help);
    AddResourceOptions(*command, &options->resources, many);
    command->callback([options, run, &session] { session.Finish(run(session, *options)); });
    return command;
  };
  auto* status = add("status", "Wait until the newest version is Ready everywhere", RunStatus);
  status->add_option("--timeout", options->timeout, "how long at most");
  status->add_flag("-w,--watch,!--no-watch", options->watch, "wait (default); with =false say only how it stands");
  add("history", "Its versions, who made them and why", RunHistory)
      ->add_option("--generation,--revision", options->revision, "one of them, whole");
  add("undo", "Back to the version before", RunUndo)
      ->add_option("--to-generation,--to-revision", options->revision, "to this one instead");
  AddAllOption(*add("restart", "New instances of the same version", RunRestart, true), &options->resources);
}

}  // namespace mcpfleet::cli
