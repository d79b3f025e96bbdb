// `mcpctl prompts list|get`.
#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/catalog.h"
#include "cli/output.h"
#include "cli/server_caller.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct PromptsOptions {
  std::string server, prompt, output;
  std::vector<std::string> arguments;
  GatewayOptions gateway;
};

Status RunList(Session& session, const PromptsOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  ASSIGN_OR_RETURN(Json prompts, caller->List("prompts/list", "prompts", deadline));
  return PrintCatalog(session, options.output, "prompts", prompts, "name",
                      PromptTable(prompts, options.output == "wide"));
}

// A prompt's arguments are all text.
StatusOr<Json> PromptArguments(const Json& prompt, const std::vector<std::string>& pairs) {
  std::vector<std::string> known, missing;
  for (const Json& argument : GetMember(prompt, "arguments")) known.push_back(GetString(argument, "name"));
  Json arguments = Json::object();
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return InvalidArgument("--arg " + Printable(pair, 60) + "; allowed: NAME=VALUE");
    const std::string name = pair.substr(0, equals);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return InvalidArgument("--arg " + Printable(name, 60) + ": the prompt has no such argument; it has: " +
                             (known.empty() ? "none" : Printable(Join(known, ", "))));
    }
    arguments[name] = pair.substr(equals + 1);
  }
  for (const Json& argument : GetMember(prompt, "arguments")) {
    const std::string name = GetString(argument, "name");
    if (GetBool(argument, "required") && !arguments.contains(name)) missing.push_back(Printable(name, 60));
  }
  if (missing.empty()) return arguments;
  return InvalidArgument("the prompt also needs: " + Join(missing, ", ") + "; give each as --arg NAME=VALUE");
}

Status RunGet(Session& session, const PromptsOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, options.server, options.gateway, deadline));
  ASSIGN_OR_RETURN(Json prompts, caller->List("prompts/list", "prompts", deadline));
  std::vector<std::string> names;
  const Json* prompt = nullptr;
  for (const Json& candidate : prompts) {
    names.push_back(GetString(candidate, "name"));
    if (names.back() == options.prompt) prompt = &candidate;
  }
  if (prompt == nullptr) {
    const std::string near = Nearest(options.prompt, names);
    return NotFound(
        options.server + " has no prompt \"" + Printable(options.prompt, 60) + "\"" +
        (near.empty() ? "; list them: mcpctl prompts list " + options.server : "; did you mean \"" + near + "\"?"));
  }
  ASSIGN_OR_RETURN(Json arguments, PromptArguments(*prompt, options.arguments));
  ASSIGN_OR_RETURN(Json result,
                   caller->Call("prompts/get", {{"name", options.prompt}, {"arguments", arguments}}, deadline));
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, {result}, false);
  for (const Json& message : GetMember(result, "messages")) {
    session.out() << Printable(GetString(message, "role"), 40) << ":\n";
    PrintBlock(session.out(), GetMember(message, "content"));
  }
  return OkStatus();
}

}  // namespace

void RegisterPrompts(CLI::App& root, Session& session) {
  auto* prompts = root.add_subcommand("prompts", "List and fill in the prompts of a server");
  prompts->require_subcommand(1);
  prompts->footer(
      "Examples:\n  mcpctl prompts list everything -o wide\n"
      "  mcpctl prompts get everything args-prompt --arg city=Berlin --arg state=BE");
  auto options = std::make_shared<PromptsOptions>();
  auto* list = prompts->add_subcommand("list", "The prompts that a server offers now");
  list->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  list->add_option("-o,--output", options->output, "wide, json, yaml, name or jsonpath=EXPRESSION");
  AddGatewayOptions(*list, &options->gateway);
  list->callback([options, &session] { FinishCall(session, RunList(session, *options)); });
  auto* get = prompts->add_subcommand("get", "Its messages, with these arguments");
  get->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  get->add_option("prompt", options->prompt, "the prompt's name")->required();
  get->add_option("--arg", options->arguments, "NAME=VALUE, repeatable")->allow_extra_args(false);
  get->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION; the messages otherwise");
  AddGatewayOptions(*get, &options->gateway);
  get->callback([options, &session] { FinishCall(session, RunGet(session, *options)); });
}

}  // namespace mcpfleet::cli
