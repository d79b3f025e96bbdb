#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/manifest_input.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/schema.h"

namespace mcpfleet::cli {
namespace {

std::string CaseName(const ObjectKey& key) { return key.kind + "/" + NameOf(key); }

// Each object a case; those of a file that has violations are judged by them.
Report ReportOf(const std::vector<ManifestObject>& manifests, const std::vector<Violation>& violations) {
  Report report{.verb = "validate", .rules = ManifestRules(), .cases = CasesOf(violations)};
  for (const ManifestObject& manifest : manifests)
    report.cases.push_back({.name = CaseName(KeyOf(manifest.object)), .file = manifest.file, .findings = {}});
  return report;
}

Json JsonReport(const std::vector<ManifestObject>& manifests, const std::vector<Violation>& violations) {
  Json objects = Json::array(), wrong = Json::array();
  for (const ManifestObject& manifest : manifests) {
    const ObjectKey key = KeyOf(manifest.object);
    Json object = {{"kind", key.kind}, {"name", key.name}, {"file", manifest.file}, {"line", manifest.line}};
    if (!key.namespace_.empty()) object["namespace"] = key.namespace_;
    objects.push_back(std::move(object));
  }
  for (const Violation& violation : violations) wrong.push_back(ViolationJson(violation));
  return {{"valid", violations.empty()}, {"objects", std::move(objects)}, {"violations", std::move(wrong)}};
}

// Whether all are valid; an error when that could not be found out.
StatusOr<bool> RunValidate(Session& session, const FileOptions& files, const std::string& output) {
  RETURN_IF_ERROR(CheckOutput(output, {"json", "sarif", "junit"}));
  std::vector<Violation> violations;
  ASSIGN_OR_RETURN(const std::vector<ManifestObject> manifests, ReadManifests(session, files, &violations));
  if (output == "json") {
    session.out() << DumpJsonPretty(JsonReport(manifests, violations)) << "\n";
  } else if (output == "sarif") {
    session.out() << ToSarif(ReportOf(manifests, violations));
  } else if (output == "junit") {
    session.out() << ToJunit(ReportOf(manifests, violations));
  } else if (violations.empty()) {
    for (const ManifestObject& manifest : manifests) session.out() << Described(KeyOf(manifest.object)) << " valid\n";
  } else {
    for (const Violation& violation : violations) session.err() << ToString(violation) << "\n";
    session.err() << "error: " << violations.size() << (violations.size() == 1 ? " violation" : " violations")
                  << " in the manifests\n";
  }
  return violations.empty();
}

}  // namespace

void RegisterValidate(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("validate", "Check manifests against the schema, without a store");
  auto files = std::make_shared<FileOptions>();
  auto output = std::make_shared<std::string>();
  command->footer(
      "Exit code 0: all are valid, 1: some are not, 2: they could not be read. Every violation is a line\n"
      "file:line: field: what is wrong; with -o sarif also its column.\n\n"
      "Examples:\n  mcpctl validate -f manifests/ -R\n  mcpctl validate -k sites/berlin\n"
      "  mcpctl validate -f manifests/ -R -o sarif > mcpfleet.sarif    for code scanning\n"
      "  mcpctl validate -f manifests/ -R -o junit > junit.xml         for test reports");
  AddFileOptions(*command, files.get());
  command->add_option("-o,--output", *output, "json, sarif or junit");
  command->callback([files, output, &session] {
    StatusOr<bool> valid = RunValidate(session, *files, *output);
    session.Finish(valid.status(), kExitUsage);
    if (valid.ok() && !*valid) session.SetExitCode(kExitFailed);
  });
}

void RegisterExplain(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("explain", "What a field means and allows");
  auto path = std::make_shared<std::string>();
  auto recursive = std::make_shared<bool>(false);
  command->footer("Examples:\n  mcpctl explain mcpserver.spec.source\n  mcpctl explain mcp --recursive");
  command->add_option("field", *path, "KIND[.FIELD…]")->required();
  command->add_flag("--recursive", *recursive, "the whole tree below");
  command->callback([path, recursive, &session] {
    StatusOr<std::string> text = Schema::Builtin().Explain(*path, *recursive);
    if (text.ok()) session.out() << *text;
    session.Finish(text.status());
  });
}

void RegisterApiResources(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("api-resources", "The kinds there are");
  auto output = std::make_shared<std::string>();
  command->footer("Examples:\n  mcpctl api-resources\n  mcpctl api-resources -o name");
  command->add_option("-o,--output", *output, "wide or name");
  command->callback([output, &session] {
    if (Status wrong = CheckOutput(*output, {"wide", "name"}); !wrong.ok()) return session.Finish(wrong);
    if (*output == "name") {
      for (const auto& kind : Schema::Builtin().kinds()) session.out() << kind->plural << ".mcpfleet.dev\n";
      return;
    }
    Table table({"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"});
    for (const auto& kind : Schema::Builtin().kinds()) {
      table.Add(
          {kind->plural, Join(kind->short_names, ","), kApiVersion, kind->namespaced ? "true" : "false", kind->kind});
    }
    table.Print(session.out());
  });
}

}  // namespace mcpfleet::cli
