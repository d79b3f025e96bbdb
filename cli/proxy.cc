// `mcpctl proxy`: stdin and stdout as an MCP server, for clients that only start programs.
#include <iostream>

#include <CLI/CLI.hpp>

#include "cli/gateway.h"
#include "cli/interrupt.h"
#include "cli/stdio_proxy.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct ProxyOptions {
  std::string server, timeout = "1h";
  GatewayOptions gateway;
};

Status RunProxy(Session& session, const ProxyOptions& options) {
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(ServerEndpoint endpoint, FindEndpoint(session, options.server, deadline));
  ASSIGN_OR_RETURN(std::string token, ReadToken(options.gateway));
  ASSIGN_OR_RETURN(McpAddress address, MakeAddress(endpoint.url, token, CaFileOf(options.gateway)));
  // One write a line: several threads complain.
  const auto complain = [&session](const std::string& line) { session.err() << "mcpctl proxy: " + line + "\n"; };
  StdioProxy proxy({.address = std::move(address), .complain = complain, .request_timeout = timeout});
  Interrupt interrupt([&proxy] { proxy.Stop(); });
  return proxy.Run();
}

}  // namespace

void RegisterProxy(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("proxy", "Serve a server's endpoint on stdin and stdout");
  auto options = std::make_shared<ProxyOptions>();
  command->footer(
      "For clients that only start programs: one JSON-RPC message a line, both ways. It ends with stdin.\n\n"
      "Examples:\n  mcpctl proxy everything\n  mcpctl proxy http://127.0.0.1:8700/default/everything/mcp\n"
      "  mcpctl proxy weather --token-file ~/.config/weather.token");
  command->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  command->add_option("--timeout", options->timeout, "how long one request may take");
  AddEndpointOptions(*command, &options->gateway);
  command->callback([options, &session] { session.Finish(RunProxy(session, *options)); });
}

}  // namespace mcpfleet::cli
