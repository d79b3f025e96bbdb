#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/manifest_input.h"
#include "cli/object_diff.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/resource.h"
#include "cli/verbs.h"
#include "gitops/apply_set.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

struct DiffOptions {
  FileOptions files;
  std::string output, applyset;
  bool prune = false;
};

// What apply would do with one object.
struct Difference {
  std::string change;  // "created", "configured", "unchanged", "deleted"
  ObjectKey key;
  std::string file;  // of the manifest, "" for one that would be deleted
  int line = 0, column = 0;
  std::string diff;
};

std::string CaseName(const ObjectKey& key) { return key.kind + "/" + NameOf(key); }

Difference Compare(const StoredState& state, const ManifestObject& manifest, Object after, bool color) {
  const ObjectKey key = KeyOf(after);
  auto stored = state.objects.find(key);
  const Object* before = stored == state.objects.end() ? nullptr : &stored->second;
  if (before != nullptr) KeepOwnNotes(*before, &after);
  const std::string name = Described(key);
  std::string diff = ObjectDiff(before, &after, name + " (store)", name + " (" + manifest.file + ")", color);
  const char* change = before == nullptr ? "created" : diff.empty() ? "unchanged" : "configured";
  return {change, key, manifest.file, manifest.line, manifest.column, std::move(diff)};
}

StatusOr<std::vector<Difference>> Differences(Session& session, const DiffOptions& options,
                                              const std::vector<ManifestObject>& manifests) {
  if (options.prune && options.applyset.empty())
    return InvalidArgument("--prune needs --applyset, which says what would be deleted");
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(StoredState state, ReadState(*kv, deadline));
  const bool color = options.output.empty() && session.color();
  std::vector<Difference> out;
  if (options.applyset.empty()) {
    for (const ManifestObject& manifest : manifests) out.push_back(Compare(state, manifest, manifest.object, color));
    return out;
  }
  if (!state.missing.empty())
    return Unavailable("the store does not show all objects yet, so what is pruned is not known: " +
                       state.missing.front());
  ASSIGN_OR_RETURN(const ChangeSet changes,
                   PlanApplySet(state.objects, manifests,
                                {.name = options.applyset, .prune = options.prune, .limit = {.force = true}}));
  for (size_t i = 0; i < manifests.size(); ++i) out.push_back(Compare(state, manifests[i], changes.set[i], color));
  for (const ObjectKey& key : changes.remove) {
    const std::string name = Described(key);
    out.push_back({"deleted", key, "", 0, 0,
                   ObjectDiff(&state.objects.at(key), nullptr, name + " (store)", name + " (in no manifest)", color)});
  }
  return out;
}

Report ReportOf(const std::vector<Difference>& differences) {
  Report report{.verb = "diff",
                .rules = {{"created", "The object is in the store as the manifest says: it is not there yet."},
                          {"configured", "The object is in the store as the manifest says: it differs."},
                          {"deleted", "Every object that the apply set owns is in a manifest."}}};
  for (const Difference& each : differences) {
    ReportCase of{.name = CaseName(each.key), .file = each.file.empty() ? "store" : each.file, .findings = {}};
    if (each.change != "unchanged") {
      of.findings.push_back({.rule = each.change,
                             .level = "warning",
                             .message = CaseName(each.key) + " would be " + each.change + ":\n" + each.diff,
                             .file = each.file,
                             .line = each.line,
                             .column = each.column,
                             .subject = CaseName(each.key)});
    }
    report.cases.push_back(std::move(of));
  }
  return report;
}

Json JsonReport(const std::vector<Difference>& differences, bool different) {
  Json changes = Json::array();
  for (const Difference& each : differences) {
    Json change = {{"change", each.change}, {"kind", each.key.kind}, {"name", each.key.name}};
    if (!each.key.namespace_.empty()) change["namespace"] = each.key.namespace_;
    if (!each.file.empty()) change["file"] = each.file;
    if (each.line > 0) change["line"] = each.line;
    if (!each.diff.empty()) change["diff"] = each.diff;
    changes.push_back(std::move(change));
  }
  return {{"different", different}, {"changes", std::move(changes)}};
}

// Manifests that are no objects: reported in the form that was asked for, then an error.
Status RefuseManifests(Session& session, const std::string& output, const std::vector<Violation>& violations) {
  const Report report{.verb = "diff", .rules = ManifestRules(), .cases = CasesOf(violations)};
  if (output == "json") {
    Json wrong = Json::array();
    for (const Violation& violation : violations) wrong.push_back(ViolationJson(violation));
    session.out() << DumpJsonPretty({{"violations", std::move(wrong)}}) << "\n";
  } else if (output == "sarif") {
    session.out() << ToSarif(report);
  } else if (output == "junit") {
    session.out() << ToJunit(report);
  } else {
    for (const Violation& violation : violations) session.err() << ToString(violation) << "\n";
  }
  return InvalidArgument(std::to_string(violations.size()) + (violations.size() == 1 ? " violation" : " violations") +
                         " in the manifests; nothing was compared");
}

StatusOr<bool> RunDiff(Session& session, const DiffOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "sarif", "junit"}));
  std::vector<Violation> violations;
  ASSIGN_OR_RETURN(const std::vector<ManifestObject> manifests, ReadManifests(session, options.files, &violations));
  if (!violations.empty()) return RefuseManifests(session, options.output, violations);
  ASSIGN_OR_RETURN(const std::vector<Difference> differences, Differences(session, options, manifests));
  bool different = false;
  for (const Difference& each : differences) {
    different = different || !each.diff.empty();
    if (options.output.empty()) session.out() << each.diff;
  }
  if (options.output == "json") session.out() << DumpJsonPretty(JsonReport(differences, different)) << "\n";
  if (options.output == "sarif") session.out() << ToSarif(ReportOf(differences));
  if (options.output == "junit") session.out() << ToJunit(ReportOf(differences));
  return different;
}

}  // namespace

void RegisterDiff(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("diff", "What apply would change");
  auto options = std::make_shared<DiffOptions>();
  command->footer(
      "Exit code 0: no difference, 1: different, 2: failed.\n\n"
      "Examples:\n  mcpctl diff -f manifests/ -R\n"
      "  mcpctl diff -k sites/berlin --applyset berlin --prune     also what would be deleted\n"
      "  mcpctl diff -f manifests/ -R -o json | jq '.changes[] | select(.change != \"unchanged\")'\n"
      "  mcpctl diff -f manifests/ -R -o junit > drift.xml         every difference a failure");
  AddFileOptions(*command, &options->files);
  command->add_option("-o,--output", options->output, "json, sarif or junit");
  command->add_option("--applyset", options->applyset, "as of apply");
  command->add_flag("--prune", options->prune, "also what apply --prune would delete of the set");
  command->callback([options, &session] {
    StatusOr<bool> different = RunDiff(session, *options);
    session.Finish(different.status(), kExitUsage);
    if (different.ok() && *different) session.SetExitCode(kExitFailed);
  });
}

}  // namespace mcpfleet::cli
