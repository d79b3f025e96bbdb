// `mcpctl resources list|templates|read`.
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/catalog.h"
#include "cli/output.h"
#include "cli/server_caller.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct ResourcesOptions {
  std::string server, uri, output, file;
  GatewayOptions gateway;
};

Status RunList(Session& session, const ResourcesOptions& options, bool templates) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  const bool wide = options.output == "wide";
  if (templates) {
    ASSIGN_OR_RETURN(Json items, caller->List("resources/templates/list", "resourceTemplates", deadline));
    return PrintCatalog(session, options.output, "resourceTemplates", items, "uriTemplate", TemplateTable(items, wide));
  }
  ASSIGN_OR_RETURN(Json items, caller->List("resources/list", "resources", deadline));
  return PrintCatalog(session, options.output, "resources", items, "uri", ResourceTable(items, wide));
}

// The bytes of a content: its text, or its blob decoded.
StatusOr<std::string> BytesOf(const Json& content) {
  if (GetMember(content, "text").is_string()) return GetString(content, "text");
  std::string bytes;
  if (!Base64Decode(GetString(content, "blob"), &bytes)) return FailedPrecondition("resources/read: blob: no base64");
  return bytes;
}

Status RunRead(Session& session, const ResourcesOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  ASSIGN_OR_RETURN(Json result, caller->Call("resources/read", {{"uri", options.uri}}, deadline));
  const Json& contents = GetMember(result, "contents");
  if (!contents.is_array()) return FailedPrecondition("resources/read: the result has no array \"contents\"");
  if (!options.file.empty()) {
    if (contents.size() != 1) {
      return FailedPrecondition(Printable(options.uri) + " has " + std::to_string(contents.size()) +
                                " contents; --to takes one: -o json shows them");
    }
    ASSIGN_OR_RETURN(std::string bytes, BytesOf(contents.front()));
    return WriteFileAtomically(options.file, bytes, 0644);
  }
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, {result}, false);
  for (const Json& content : contents) PrintBlock(session.out(), content);
  return OkStatus();
}

}  // namespace

void RegisterResources(CLI::App& root, Session& session) {
  auto* resources = root.add_subcommand("resources", "List and read the resources of a server");
  resources->require_subcommand(1);
  resources->footer(
      "Examples:\n  mcpctl resources list everything -o wide\n  mcpctl resources templates everything\n"
      "  mcpctl resources read everything demo://resource/static/document/features.md\n"
      "  mcpctl resources read camera camera://front/latest --to front.jpg");
  auto options = std::make_shared<ResourcesOptions>();
  auto* list = resources->add_subcommand("list", "The resources that a server lists now");
  auto* templates = resources->add_subcommand("templates", "The patterns of URIs that it can read besides");
  auto* read = resources->add_subcommand("read", "Print one, or write it to a file");
  for (CLI::App* verb : {list, templates, read})
    verb->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  read->add_option("uri", options->uri, "the resource's URI")->required();
  read->add_option("--to", options->file, "write its bytes to this file");
  for (CLI::App* verb : {list, templates})
    verb->add_option("-o,--output", options->output, "wide, json, yaml, name or jsonpath=EXPRESSION");
  read->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION; the text otherwise");
  for (CLI::App* verb : {list, templates, read}) AddGatewayOptions(*verb, &options->gateway);
  list->callback([options, &session] { FinishCall(session, RunList(session, *options, false)); });
  templates->callback([options, &session] { FinishCall(session, RunList(session, *options, true)); });
  read->callback([options, &session] { FinishCall(session, RunRead(session, *options)); });
}

}  // namespace mcpfleet::cli
