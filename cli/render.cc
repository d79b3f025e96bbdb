#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/manifest_input.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

Status RunRender(Session& session, const std::string& folder, const std::string& output) {
  RETURN_IF_ERROR(CheckOutput(output, {"json", "yaml", "name"}));
  FileOptions files;
  files.kustomize = folder;
  std::vector<Violation> violations;
  ASSIGN_OR_RETURN(const std::vector<ManifestObject> objects, ReadManifests(session, files, &violations));
  if (!violations.empty()) {
    for (const Violation& violation : violations) session.err() << ToString(violation) << "\n";
    return InvalidArgument(folder + " can't be rendered: " + std::to_string(violations.size()) +
                           (violations.size() == 1 ? " violation" : " violations"));
  }
  std::vector<Json> out;
  for (const ManifestObject& object : objects) {
    Json json = ObjectToJson(object.object);
    for (const char* assigned : {"uid", "generation", "creationTimestamp"}) json["metadata"].erase(assigned);
    out.push_back(std::move(json));
  }
  if (!output.empty() && output != "yaml") return PrintObjects(session.out(), output, out, true);
  for (const Json& json : out) session.out() << "---\n" << ObjectToYaml(json);
  return OkStatus();
}

}  // namespace

void RegisterRender(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("render", "Print the objects that a folder means, overlays over their bases");
  auto folder = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  command->footer(
      "A folder with a kustomization.yaml is its resources, its patches, namespace, labels and commonAnnotations put "
      "over\n"
      "them; one without is every manifest in it and below. Patches are strategic: lists are merged by the keys that "
      "the\n"
      "schema names (env by name, volumes by name), null removes a field, $patch: replace or delete says otherwise.\n"
      "The same files give the same output. Nothing is fetched, and no store is asked.\n\n"
      "Examples:\n  mcpctl render sites/berlin\n  mcpctl render sites/berlin -o name\n"
      "  mcpctl apply -k sites/berlin --applyset berlin --prune     the same, applied");
  command->add_option("folder", *folder, "the folder")->required();
  command->add_option("-o,--output", *output, "yaml (as without), json or name");
  command->callback([folder, output, &session] { session.Finish(RunRender(session, *folder, *output)); });
}

}  // namespace mcpfleet::cli
