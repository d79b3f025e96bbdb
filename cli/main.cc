// mcpctl: the command line of mcpfleet.
#include <csignal>
#include <iostream>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "cli/verbs.h"

int main(int argc, char** argv) {
  using namespace mcpfleet;  // NOLINT: main only
  signal(SIGPIPE, SIG_IGN);  // `mcpctl get | head` ends by a failed write
  InitRestThreads();
  SystemClock clock;
  cli::Session session(std::cout, std::cerr, clock);
  CLI::App root{"mcpctl declares MCP servers and looks after them. Start with: mcpctl apply -f weather.yaml --wait"};
  root.name("mcpctl");
  root.require_subcommand(1);
  root.fallthrough();
  root.failure_message(CLI::FailureMessage::simple);
  cli::GlobalOptions& options = session.options();
  root.add_option("--context", options.context, "the context to use (mcpctl config get-contexts)");
  root.add_option("-n,--namespace", options.namespace_, "the namespace; the context's by default");
  root.add_option("--request-timeout", options.request_timeout, "of one request: 5s, 1m; 0 for none");
  root.add_flag("-v,--verbose", options.verbosity, "say which requests are made; -vv says more");
  root.add_flag("--no-color", options.no_color, "no colours, as NO_COLOR");

  cli::RegisterApply(root, session);
  cli::RegisterDiff(root, session);
  cli::RegisterDelete(root, session);
  cli::RegisterEdit(root, session);
  cli::RegisterLabel(root, session);
  cli::RegisterSuspend(root, session);
  cli::RegisterRollout(root, session);
  cli::RegisterGet(root, session);
  cli::RegisterDescribe(root, session);
  cli::RegisterWait(root, session);
  cli::RegisterEvents(root, session);
  cli::RegisterLogs(root, session);
  cli::RegisterTop(root, session);
  cli::RegisterTools(root, session);
  cli::RegisterValidate(root, session);
  cli::RegisterExplain(root, session);
  cli::RegisterApiResources(root, session);
  cli::RegisterStore(root, session);
  cli::RegisterConfig(root, session);
  cli::RegisterSupportBundle(root, session);
  cli::RegisterCompletion(root, session);
  cli::RegisterVersion(root, session);

  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return root.exit(help);
  } catch (const CLI::ParseError& error) {
    root.exit(error, std::cout, std::cerr);
    std::cerr << "see: mcpctl --help\n";
    return cli::kExitUsage;
  }
  std::cout.flush();
  return std::cout.good() ? session.exit_code() : cli::kExitFailed;
}
