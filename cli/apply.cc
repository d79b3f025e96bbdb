#include "cli/apply.h"

#include <algorithm>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>

#include "cli/fleet.h"
#include "cli/manifest_input.h"
#include "cli/replicas.h"
#include "cli/secrets.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "gitops/apply_set.h"

namespace mcpfleet::cli {
namespace {

struct ApplyOptions {
  FileOptions files;
  std::string selector, applyset, max_prune, message, dry_run = "none", timeout = "5m", output;
  bool prune = false, force = false, wait = false, propose = false;
};

Status CheckOptions(const ApplyOptions& options) {
  if (options.propose && (options.wait || options.dry_run != "none"))
    return InvalidArgument("--propose changes nothing yet: it goes with neither --wait nor --dry-run");
  if (!options.applyset.empty() && !options.selector.empty())
    return InvalidArgument("--applyset and --selector exclude each other: one of them says what the manifests own");
  if (!options.prune && (options.force || !options.max_prune.empty() || !options.selector.empty()))
    return InvalidArgument("--force, --max-prune and --selector say what --prune does; it is not given");
  if (options.prune && options.applyset.empty() && options.selector.empty()) {
    return InvalidArgument(
        "--prune needs --applyset or --selector, so that it can't delete what other manifests own; for example: "
        "--applyset weather");
  }
  return OkStatus();
}

// A proposal and a dry run sign nothing here.
ReadFor UseOf(const ApplyOptions& options) {
  return options.propose || options.dry_run != "none" ? ReadFor::kToShow : ReadFor::kToSign;
}

StatusOr<StoredState> ReadWholeState(Session& session, const ApplyOptions& options) {
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(StoredState state, ReadTrustedState(session, deadline, UseOf(options)));
  if (!state.missing.empty())
    return Unavailable("the store does not show all objects yet, so nothing is pruned: " + state.missing.front());
  return state;
}

// With --prune --selector: every object in the namespaces of the manifests that the selector matches, no manifest
// names and no apply set owns.
Status AddSelected(Session& session, const ApplyOptions& options, const PruneLimit& limit,
                   const std::vector<ManifestObject>& given, ChangeSet* changes) {
  ASSIGN_OR_RETURN(LabelSelector selector, LabelSelector::Parse(options.selector));
  std::set<ObjectKey> named;
  PruneRule rule{.apply_set = {},
                 .selector_text = options.selector,
                 .selector = selector,
                 .places = {},
                 .limit = limit,
                 .planned_on = {}};
  for (const ManifestObject& manifest : given) {
    named.insert(KeyOf(manifest.object));
    rule.places.insert({manifest.object.kind, manifest.object.metadata.namespace_});
    if (!selector.Matches(manifest.object.metadata.labels)) {
      return InvalidArgument(manifest.file + ":" + std::to_string(manifest.line) +
                             ": metadata.labels: --prune --selector " + options.selector +
                             " does not match this object, the next prune would delete it");
    }
  }
  ASSIGN_OR_RETURN(StoredState state, ReadWholeState(session, options));
  rule.planned_on = state.head ? state.head->snapshot : "";
  ASSIGN_OR_RETURN(changes->remove, DecidePrune(state.objects, named, rule));
  changes->prune = std::move(rule);
  return OkStatus();
}

StatusOr<ChangeSet> Changes(Session& session, const ApplyOptions& options,
                            const std::vector<ManifestObject>& manifests) {
  PruneLimit limit{.force = options.force};
  if (!options.max_prune.empty()) {
    StatusOr<int> percent = ParsePercent(options.max_prune);
    if (!percent.ok()) return Annotate(percent.status(), "--max-prune");
    limit.most_percent = *percent;
  }
  if (!options.applyset.empty()) {
    ASSIGN_OR_RETURN(StoredState state, ReadWholeState(session, options));
    return PlanApplySet(state.objects, manifests,
                        {.name = options.applyset,
                         .prune = options.prune,
                         .limit = limit,
                         .planned_on = state.head ? state.head->snapshot : ""});
  }
  ChangeSet changes{.manifests = true};
  for (const ManifestObject& manifest : manifests) changes.set.push_back(manifest.object);
  if (options.prune) RETURN_IF_ERROR(AddSelected(session, options, limit, manifests, &changes));
  return changes;
}

Status RunApply(Session& session, const ApplyOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  ASSIGN_OR_RETURN(std::vector<ManifestObject> manifests, ReadValidManifests(session, options.files));
  if (options.dry_run == "client") {
    for (const ManifestObject& manifest : manifests)
      session.out() << Described(KeyOf(manifest.object)) << " valid (dry run)\n";
    return OkStatus();
  }
  ASSIGN_OR_RETURN(ChangeSet changes, Changes(session, options, manifests));
  RETURN_IF_ERROR(CheckSecretsOfChange(session, changes));
  std::string message = options.message.empty() ? "apply " + options.files.Shown() : options.message;
  if (options.propose) return ProposeChanges(session, changes, message);
  ASSIGN_OR_RETURN(ApplyResult result, WriteChanges(session, changes, message, options.dry_run == "server"));
  if (!options.wait || options.dry_run != "none") return OkStatus();
  std::vector<WaitTarget> targets;
  for (const ObjectChange& change : result.changes) {
    if (change.key.kind != kKindServer) continue;
    bool removed = change.kind == ChangeKind::kDeleted || change.kind == ChangeKind::kAbsent;
    // A suspended server never becomes Ready.
    bool suspended = std::any_of(changes.set.begin(), changes.set.end(), [&](const Object& object) {
      return KeyOf(object) == change.key && GetBool(object.spec, "suspend");
    });
    if (!suspended) targets.push_back({.key = change.key, .generation = change.generation, .gone = removed});
  }
  if (targets.empty()) return OkStatus();
  return WaitFor(session, targets, timeout);
}

}  // namespace

StatusOr<ApplyResult> WriteChanges(Session& session, const ChangeSet& changes, const std::string& message, bool dry_run,
                                   bool quiet_unchanged) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  RETURN_IF_ERROR(CheckReplicas(session, changes, deadline));
  WriteOptions options{.message = message, .author = Session::Author(), .dry_run = dry_run};
  // Without a trust root the fleet's state may be shown, and nothing is signed upon it.
  ASSIGN_OR_RETURN(const Context context, session.context());
  if (!dry_run || !context.trust_root.empty()) options.sign = session.Signer();
  ASSIGN_OR_RETURN(ApplyResult result, Apply(*kv, changes, options, session.clock(), deadline));
  for (const ObjectChange& change : result.changes) {
    if (quiet_unchanged && change.kind == ChangeKind::kUnchanged) continue;
    session.out() << Described(change.key) << " " << WordFor(change.kind) << (dry_run ? " (server dry run)" : "")
                  << "\n";
  }
  if (result.head.has_value()) session.SawHead(result.head->order);
  return result;
}

void RegisterApply(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("apply", "Make the fleet as the manifests say");
  auto options = std::make_shared<ApplyOptions>();
  command->footer(
      "Labels, annotations and spec become what the manifest says; the time of a rollout restart stays. All objects "
      "change together or none does.\n"
      "--applyset labels them as one set's own, mcpfleet.dev/applyset; --prune then deletes, in the same change, what "
      "the\n"
      "set owns and no manifest names, and never anything else. More than --max-prune of it is refused.\n\n"
      "Examples:\n"
      "  mcpctl apply -f weather.yaml -m 'weather v2'\n"
      "  mcpctl apply -f manifests/ -R --wait\n"
      "  mcpctl apply -k sites/berlin --applyset berlin --prune  an overlay, and delete what it no longer names\n"
      "  mcpctl apply -f manifests/ -l team=data --prune        delete what is labelled so and in no manifest\n"
      "  mcpctl apply -f weather.yaml --dry-run=server          what would change\n"
      "  render | mcpctl apply -f -");
  AddFileOptions(*command, &options->files);
  command->add_option("--applyset", options->applyset, "the set that owns these objects; one name in the whole fleet");
  command->add_option("-l,--selector", options->selector, "with --prune: what the manifests own, without a set");
  command->add_flag("--prune", options->prune, "delete what the set or the selector owns and no manifest names");
  command->add_option("--max-prune", options->max_prune,
                      "the share of what is owned that --prune may delete, in percent; 50 without it");
  command->add_flag("--force", options->force, "with --prune: delete however much it is");
  command->add_option("--dry-run", options->dry_run, "none, client (validate only) or server (what would change)")
      ->check(CLI::IsMember({"none", "client", "server"}));
  command->add_option("-m,--message", options->message, "why, for the history");
  command->add_flag("--propose", options->propose,
                    "write it down for somebody with a head key: see mcpctl proposals --help");
  command->add_flag("--wait", options->wait, "wait until every server is Ready");
  command->add_option("--timeout", options->timeout, "of --wait");
  command->callback([options, &session] { session.Finish(RunApply(session, *options)); });
}

}  // namespace mcpfleet::cli
