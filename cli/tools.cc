#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/catalog.h"
#include "cli/output.h"
#include "cli/server_caller.h"
#include "cli/tool_arguments.h"
#include "cli/tools_lock.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct ToolOptions {
  std::string server, tool, output, json, timeout = "60s";
  std::vector<std::string> arguments;
  GatewayOptions gateway;
};

Status RunList(Session& session, const ToolOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  ASSIGN_OR_RETURN(Json tools, caller->List("tools/list", "tools", deadline));
  return PrintCatalog(session, options.output, "tools", tools, "name", ToolTable(tools, options.output == "wide"));
}

void PrintContent(Session& session, const Json& result) {
  for (const Json& block : GetMember(result, "content")) PrintBlock(session.out(), block);
  if (GetMember(result, "content").empty() && result.contains("structuredContent")) {
    session.out() << DumpJsonPretty(result["structuredContent"]) << "\n";
  }
}

Status RunCall(Session& session, const ToolOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  Deadline deadline = Deadline::After(timeout);
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  ASSIGN_OR_RETURN(Json tools, caller->List("tools/list", "tools", deadline));
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
  ASSIGN_OR_RETURN(Json result,
                   caller->Call("tools/call", {{"name", options.tool}, {"arguments", arguments}}, deadline));
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
  auto* tools = root.add_subcommand("tools", "List, call and pin the tools of a server");
  tools->require_subcommand(1);
  tools->footer(
      "Examples:\n  mcpctl tools list everything\n  mcpctl tools call everything echo --arg message=hello\n"
      "  mcpctl tools call everything get-sum --args '{\"a\": 1, \"b\": 2}' -o json\n"
      "  MCPCTL_TOKEN=$(cat token) mcpctl tools list everything --via gateway");
  auto options = std::make_shared<ToolOptions>();
  auto* list = tools->add_subcommand("list", "The tools that a server offers now");
  list->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  list->add_option("-o,--output", options->output, "wide, json, yaml, name or jsonpath=EXPRESSION");
  AddGatewayOptions(*list, &options->gateway);
  list->callback([options, &session] { FinishCall(session, RunList(session, *options)); });
  auto* call = tools->add_subcommand("call", "Call one");
  call->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  call->add_option("tool", options->tool, "the tool's name")->required();
  call->add_option("--arg", options->arguments, "NAME=VALUE, repeatable; typed by the tool's schema")
      ->allow_extra_args(false);
  call->add_option("--args", options->json, "all arguments as a JSON object");
  call->add_option("--timeout", options->timeout, "how long the tool may take");
  call->add_option("-o,--output", options->output,
                   "json, yaml or jsonpath=EXPRESSION; the text of the result otherwise");
  AddGatewayOptions(*call, &options->gateway);
  call->callback([options, &session] { FinishCall(session, RunCall(session, *options)); });
  RegisterToolPins(*tools, session);
}

}  // namespace mcpfleet::cli
