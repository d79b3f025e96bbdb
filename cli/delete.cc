#include <ostream>

#include <CLI/CLI.hpp>

#include "cli/apply.h"
#include "cli/fleet.h"
#include "cli/manifest_input.h"
#include "cli/secrets.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct DeleteOptions {
  ResourceOptions resources;
  FileOptions files;
  std::string message, timeout = "2m", dry_run = "none";
  bool ignore_not_found = false, wait = true, force = false;
};

StatusOr<std::vector<ObjectKey>> Doomed(Session& session, const DeleteOptions& options) {
  std::vector<ObjectKey> keys;
  if (!options.files.empty()) {
    if (!options.resources.arguments.empty()) return InvalidArgument("give -f or names, not both");
    ASSIGN_OR_RETURN(std::vector<ManifestObject> manifests, ReadValidManifests(session, options.files));
    for (const ManifestObject& manifest : manifests) keys.push_back(KeyOf(manifest.object));
    return keys;
  }
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  RETURN_IF_ERROR(CheckDeliberate(selection, options.resources));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  Fleet fleet;
  const ReadFor use = options.dry_run == "none" ? ReadFor::kToSign : ReadFor::kToShow;
  ASSIGN_OR_RETURN(fleet.desired, ReadTrustedState(session, deadline, use));
  StatusOr<std::vector<const Object*>> objects = Find(fleet, selection);
  if (!objects.ok() && !options.ignore_not_found) return objects.status();
  for (const auto& [key, object] : fleet.desired.objects) {
    if (selection.Matches(object)) keys.push_back(key);
  }
  return keys;
}

Status RunDelete(Session& session, const DeleteOptions& options) {
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  ASSIGN_OR_RETURN(std::vector<ObjectKey> keys, Doomed(session, options));
  if (keys.empty()) {
    session.err() << "No resources found\n";
    return OkStatus();
  }
  if (!options.force) RETURN_IF_ERROR(CheckSecretsUnused(session, keys));
  ChangeSet changes{.remove = keys};
  std::string message = options.message.empty()
                            ? "delete " + NameOf(keys.front()) + (keys.size() > 1 ? " and others" : "")
                            : options.message;
  ASSIGN_OR_RETURN(ApplyResult result, WriteChanges(session, changes, message, options.dry_run != "none"));
  if (options.dry_run != "none") return OkStatus();
  std::vector<WaitTarget> targets;
  Status missing;
  for (const ObjectChange& change : result.changes) {
    if (change.kind == ChangeKind::kAbsent && !options.ignore_not_found)
      missing = NotFound(Described(change.key) + " not found");
    if (change.kind == ChangeKind::kDeleted && change.key.kind == kKindServer)
      targets.push_back({.key = change.key, .gone = true});
  }
  if (options.wait && !targets.empty()) RETURN_IF_ERROR(WaitFor(session, targets, timeout));
  return missing;
}

}  // namespace

void RegisterDelete(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("delete", "Delete servers: nodes stop and remove them");
  auto options = std::make_shared<DeleteOptions>();
  command->footer(
      "Examples:\n  mcpctl delete mcp/weather\n  mcpctl delete -f weather.yaml\n  mcpctl delete mcp -l app=shop "
      "--wait=false");
  AddResourceOptions(*command, &options->resources, true);
  AddFileOptions(*command, &options->files);
  AddAllOption(*command, &options->resources);
  command->add_flag("--force", options->force, "delete secrets that servers use, too");
  command->add_flag("--ignore-not-found", options->ignore_not_found, "what is absent is fine");
  command->add_option("--dry-run", options->dry_run, "none, or client or server: what would be deleted")
      ->check(CLI::IsMember({"none", "client", "server"}));
  command->add_option("-m,--message", options->message, "why, for the history");
  command->add_flag("--wait,!--no-wait", options->wait, "wait until no node runs them any more (default)");
  command->add_option("--timeout", options->timeout, "of the waiting");
  command->callback([options, &session] { session.Finish(RunDelete(session, *options)); });
}

}  // namespace mcpfleet::cli
