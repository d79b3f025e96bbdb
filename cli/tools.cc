#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/output.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/tool_arguments.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct ToolOptions {
  std::string server, tool, output, json, timeout = "60s";
  std::vector<std::string> arguments;
};

StatusOr<std::string> ServerPath(Session& session, const std::string& server) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, {.arguments = {server}}, kKindServer));
  return "/v1/servers/" + PercentEncode(selection.namespace_) + "/" + PercentEncode(selection.names.front());
}

StatusOr<Json> ListTools(Session& session, const std::string& path, Deadline deadline) {
  ASSIGN_OR_RETURN(http::Response response, session.Admin({.target = path + "/tools"}, deadline));
  ASSIGN_OR_RETURN(Json json, ParseJson(response.body));
  const Json& tools = GetMember(json, "tools");
  return tools.is_array() ? tools : Json::array();
}

Status RunList(Session& session, const ToolOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(std::string path, ServerPath(session, options.server));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Json tools, ListTools(session, path, deadline));
  if (options.output == "name") {
    for (const Json& tool : tools) session.out() << GetString(tool, "name") << "\n";
    return OkStatus();
  }
  if (!options.output.empty() && options.output != "wide")
    return PrintObjects(session.out(), options.output, {Json{{"tools", tools}}}, false);
  Table table(options.output == "wide" ? std::vector<std::string>{"NAME", "ARGUMENTS", "DESCRIPTION"}
                                       : std::vector<std::string>{"NAME", "DESCRIPTION"});
  for (const Json& tool : tools) {
    std::vector<std::string> row{Printable(GetString(tool, "name"), 80)};
    if (options.output == "wide") {
      std::vector<std::string> names;
      for (const auto& [name, schema] : GetMember(GetMember(tool, "inputSchema"), "properties").items())
        names.push_back(Printable(name, 40));
      row.push_back(names.empty() ? "<none>" : Join(names, ","));
    }
    std::string description = GetString(tool, "description");
    row.push_back(Printable(description.substr(0, description.find('\n')), options.output == "wide" ? 300 : 80));
    table.Add(std::move(row));
  }
  table.Print(session.out());
  return OkStatus();
}

void PrintContent(Session& session, const Json& result) {
  for (const Json& block : GetMember(result, "content")) {
    std::string type = GetString(block, "type");
    if (type == "text") {
      std::string text = GetString(block, "text");
      session.out() << text << (text.ends_with('\n') ? "" : "\n");
    } else {
      session.out() << "[" << type << " " << GetString(block, "mimeType", GetString(block, "uri")) << ", "
                    << GetString(block, "data").size() * 3 / 4 << " bytes; -o json shows it]\n";
    }
  }
  if (GetMember(result, "content").empty() && result.contains("structuredContent")) {
    session.out() << DumpJsonPretty(result["structuredContent"]) << "\n";
  }
}

Status RunCall(Session& session, const ToolOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  Deadline deadline = Deadline::After(timeout);
  ASSIGN_OR_RETURN(std::string path, ServerPath(session, options.server));
  ASSIGN_OR_RETURN(Json tools, ListTools(session, path, deadline));
  const Json* tool = nullptr;
  std::vector<std::string> names;
  for (const Json& candidate : tools) {
    names.push_back(GetString(candidate, "name"));
    if (names.back() == options.tool) tool = &candidate;
  }
  if (tool == nullptr) {
    std::string near = Nearest(options.tool, names);
    return NotFound(
        options.server + " has no tool \"" + Printable(options.tool, 60) + "\"" +
        (near.empty() ? "; list them: mcpctl tools list " + options.server : "; did you mean \"" + near + "\"?"));
  }
  ASSIGN_OR_RETURN(Json arguments, ToolArguments(GetMember(*tool, "inputSchema"), options.json, options.arguments));
  Json body = {{"method", "tools/call"}, {"params", {{"name", options.tool}, {"arguments", arguments}}}};
  http::Request request{.method = "POST", .target = path + "/call", .body = DumpJson(body)};
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("X-Timeout", options.timeout);
  ASSIGN_OR_RETURN(http::Response response, session.Admin(request, deadline));
  ASSIGN_OR_RETURN(Json result, ParseJson(response.body));
  if (options.output.empty()) {
    PrintContent(session, result);
  } else {
    RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {result}, false));
  }
  if (GetBool(result, "isError")) {
    session.err() << "error: the tool reports an error\n";
    session.SetExitCode(kExitFailed);
  }
  return OkStatus();
}

}  // namespace

void RegisterTools(CLI::App& root, Session& session) {
  auto* tools = root.add_subcommand("tools", "List and call the tools of a server");
  tools->require_subcommand(1);
  tools->footer(
      "Examples:\n  mcpctl tools list everything\n  mcpctl tools call everything echo --arg message=hello\n"
      "  mcpctl tools call everything get-sum --args '{\"a\": 1, \"b\": 2}' -o json");
  auto options = std::make_shared<ToolOptions>();
  auto* list = tools->add_subcommand("list", "The tools that a server offers now");
  list->add_option("server", options->server, "NAME or mcp/NAME")->required();
  list->add_option("-o,--output", options->output, "wide, json, yaml, name or jsonpath=EXPRESSION");
  list->callback([options, &session] { session.Finish(RunList(session, *options)); });
  auto* call = tools->add_subcommand("call", "Call one");
  call->add_option("server", options->server, "NAME or mcp/NAME")->required();
  call->add_option("tool", options->tool, "the tool's name")->required();
  call->add_option("--arg", options->arguments, "NAME=VALUE, repeatable; typed by the tool's schema")
      ->allow_extra_args(false);
  call->add_option("--args", options->json, "all arguments as a JSON object");
  call->add_option("--timeout", options->timeout, "how long the tool may take");
  call->add_option("-o,--output", options->output,
                   "json, yaml or jsonpath=EXPRESSION; the text of the result otherwise");
  call->callback([options, &session] { session.Finish(RunCall(session, *options)); });
}

}  // namespace mcpfleet::cli
