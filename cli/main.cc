// mcpctl: the command line of mcpfleet.
#include <algorithm>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/version.h"
#include "cli/hidden_arguments.h"
#include "cli/usage.h"
#include "cli/verbs.h"

int main(int argc, char** argv) {
  using namespace mcpfleet;  // NOLINT: main only
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  cli::HideLiterals(argc, argv);  // before anything that takes time
  signal(SIGPIPE, SIG_IGN);       // `mcpctl get | head` ends by a failed write
  InitRestThreads();
  SystemClock clock;
  cli::Session session(std::cout, std::cerr, clock);
  CLI::App root{"mcpctl declares MCP servers and looks after them. Start with: mcpctl apply -f weather.yaml --wait"};
  root.name("mcpctl");
  root.require_subcommand(1);
  root.fallthrough();
  root.set_version_flag("--version", "mcpctl " + std::string(Version()), "print the version");
  cli::GlobalOptions& options = session.options();
  root.add_option("--context", options.context, "the context to use (mcpctl config get-contexts)");
  root.add_option("-n,--namespace", options.namespace_, "the namespace; the context's by default");
  root.add_option("--request-timeout", options.request_timeout, "of one request: 5s, 1m; 0 for none");
  root.add_flag("-v,--verbose", options.verbosity, "say which requests are made");
  root.add_flag("--no-color", options.no_color, "no colours, as NO_COLOR");

  cli::RegisterApply(root, session);
  cli::RegisterDiff(root, session);
  cli::RegisterDelete(root, session);
  cli::RegisterEdit(root, session);
  cli::RegisterLabel(root, session);
  cli::RegisterSuspend(root, session);
  cli::RegisterRollout(root, session);
  cli::RegisterProposals(root, session);
  cli::RegisterCordon(root, session);
  cli::RegisterGet(root, session);
  cli::RegisterDescribe(root, session);
  cli::RegisterWait(root, session);
  cli::RegisterEvents(root, session);
  cli::RegisterLogs(root, session);
  cli::RegisterTop(root, session);
  cli::RegisterAlerts(root, session);
  cli::RegisterUptime(root, session);
  cli::RegisterSyncs(root, session);
  cli::RegisterDashboard(root, session);
  cli::RegisterTools(root, session);
  cli::RegisterResources(root, session);
  cli::RegisterPrompts(root, session);
  cli::RegisterInspect(root, session);
  cli::RegisterConnect(root, session);
  cli::RegisterProxy(root, session);
  cli::RegisterCreate(root, session);
  cli::RegisterConvert(root, session);
  cli::RegisterRegistry(root, session);
  cli::RegisterSecrets(root, session);
  cli::RegisterValidate(root, session);
  cli::RegisterRender(root, session);
  cli::RegisterExplain(root, session);
  cli::RegisterApiResources(root, session);
  cli::RegisterNode(root, session);
  cli::RegisterStore(root, session);
  cli::RegisterKeys(root, session);
  cli::RegisterTrust(root, session);
  cli::RegisterConfig(root, session);
  cli::RegisterSupportBundle(root, session);
  cli::RegisterCompletion(root, session);
  cli::RegisterVersion(root, session);

  if (words.empty()) {
    std::cout << root.help();
    return cli::kExitOk;
  }
  // `mcpctl help rollout` is `mcpctl rollout --help`.
  if (words.front() == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  if (words.front() == "__complete") {
    words.erase(words.begin());
    cli::Complete(root, session, std::move(words));
    return cli::kExitOk;
  }
  words = cli::SplitShortValues(std::move(words));
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    root.parse(words);
  } catch (const CLI::Success& help) {
    return root.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << cli::UsageText(root, error);
    return cli::kExitUsage;
  }
  std::cout.flush();
  return std::cout.good() ? session.exit_code() : cli::kExitFailed;
}
