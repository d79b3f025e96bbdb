#include <ostream>

#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "cli/manifest_input.h"
#include "cli/output.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/schema.h"

namespace mcpfleet::cli {

void RegisterValidate(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("validate", "Check manifests against the schema, without a store");
  auto files = std::make_shared<FileOptions>();
  command->footer(
      "Exit code 0 when all are valid, 1 otherwise; every violation is a line file:line: field: what is wrong.\n\n"
      "Examples:\n  mcpctl validate -f manifests/ -R");
  AddFileOptions(*command, files.get());
  command->callback([files, &session] {
    StatusOr<std::vector<ManifestObject>> manifests = ReadValidManifests(session, *files);
    if (manifests.ok()) {
      for (const ManifestObject& manifest : *manifests)
        session.out() << Described(KeyOf(manifest.object)) << " valid\n";
    }
    session.Finish(manifests.status());
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
