// `mcpctl convert`: manifests of ours from what other tools write down. The formats are in cli/convert/.
#include "cli/convert/convert.h"

#include <memory>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>

#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "cli/converted.h"
#include "cli/manifest_input.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/labels.h"

namespace mcpfleet::cli {
namespace {

struct ConvertOptions {
  std::string file, from, output = "yaml", package;
  std::vector<std::string> set;
  bool strict = false, resolve = false;
};

void PrintDocuments(std::ostream& out, const std::vector<Json>& objects) {
  for (size_t i = 0; i < objects.size(); ++i) out << (i == 0 ? "" : "---\n") << ObjectToYaml(objects[i]);
}

// -n says where all of it goes.
Status MoveTo(const std::string& space, convert::Conversion* conversion) {
  if (space.empty()) return OkStatus();
  if (const std::string wrong = CheckName(space); !wrong.empty())
    return InvalidArgument("namespace \"" + Printable(space, 80) + "\" " + wrong);
  std::set<std::string> names;
  for (Json& object : conversion->objects) {
    object["metadata"]["namespace"] = space;
    const std::string name = GetString(object["metadata"], "name");
    if (!names.insert(name).second)
      return InvalidArgument("two servers are called " + name + ", which one namespace can't have; leave out -n");
  }
  for (convert::SecretNeed& need : conversion->secrets) need.namespace_ = space;
  return OkStatus();
}

Status RunConvert(Session& session, const ConvertOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"yaml", "json"}));
  if (options.file.empty()) return InvalidArgument("say what: -f FILE, or -f - for stdin");
  convert::Options wanted{.prefer = options.package};
  if (!options.from.empty()) wanted.from = convert::FormatOf(options.from);
  ASSIGN_OR_RETURN(wanted.values, ParsePairs(options.set, "--set"));
  ASSIGN_OR_RETURN(const std::string bytes, ReadManifestFile(options.file));
  const std::string name = options.file == "-" ? "stdin" : options.file;
  ASSIGN_OR_RETURN(convert::Conversion conversion,
                   ConvertResolved(session, bytes, name, std::move(wanted), options.resolve));
  const std::string space = session.options().namespace_;
  RETURN_IF_ERROR(MoveTo(space, &conversion));
  PrintRemarks(session, conversion, name, space);
  const std::string count =
      std::to_string(conversion.losses.size()) + (conversion.losses.size() == 1 ? " thing" : " things");
  if (conversion.objects.empty()) return FailedPrecondition(name + ": no server could be converted");
  if (options.strict && !conversion.losses.empty())
    return FailedPrecondition(name + ": " + count + " could not be carried over, and with --strict nothing is printed");
  if (options.output == "json") return PrintObjects(session.out(), "json", conversion.objects, false);
  PrintDocuments(session.out(), conversion.objects);
  return OkStatus();
}

}  // namespace

void RegisterConvert(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("convert", "Manifests from what other tools write down about MCP servers");
  auto options = std::make_shared<ConvertOptions>();
  command->footer(
      "Reads mcpServers or servers of Claude, Cursor and VS Code, server.json of the MCP registry, MCPServers of "
      "ToolHive,\n"
      "kmcp and kubernetes-sigs, and services of docker compose. What can't be carried over is listed on stderr, with "
      "its\n"
      "place in the source and the reason; --strict makes it an error. Values that look like secrets are in neither "
      "output:\n"
      "the manifest refers to an MCPSecret, and the command that makes it is printed.\n\n"
      "Examples:\n"
      "  mcpctl convert -f ~/.config/Claude/claude_desktop_config.json --resolve > servers.yaml\n"
      "  mcpctl convert -f .vscode/mcp.json -n tools -o json\n"
      "  mcpctl convert -f server.json --package npm --set REGION=eu\n"
      "  kubectl get mcpservers.toolhive.stacklok.dev -A -o yaml | mcpctl convert -f - --strict\n"
      "  docker compose config --no-interpolate | mcpctl convert -f - | mcpctl apply -f -");
  command->add_option("-f,--filename", options->file, "file, or - for stdin");
  command
      ->add_option("--from", options->from,
                   "what it is, when that can't be seen: " + Join(convert::FormatNames(), ", "))
      ->check(CLI::IsMember(convert::FormatNames()));
  command->add_option("-o,--output", options->output, "yaml or json")->capture_default_str();
  command
      ->add_option("--package", options->package, "of a server.json with several ways to run: npm, pypi, oci or remote")
      ->check(CLI::IsMember({"npm", "pypi", "oci", "remote"}));
  command
      ->add_option("--set", options->set,
                   "NAME=VALUE for an input, variable or argument that the source asks for; repeatable")
      ->allow_extra_args(false);
  command->add_flag("--resolve", options->resolve, "ask npm or PyPI for the version of packages that have none");
  command->add_flag("--strict", options->strict, "exit code 1, and no output, when something can't be carried over");
  command->callback([options, &session] { session.Finish(RunConvert(session, *options)); });
}

}  // namespace mcpfleet::cli
