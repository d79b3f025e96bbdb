// mcplet: the node agent of mcpfleet.
#include <sys/stat.h>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/version.h"
#include "edge-runtime/gitsync/ssh_words.h"
#include "edge-runtime/mcplet/agent.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/doctor.h"
#include "edge-runtime/mcplet/join.h"
#include "edge-runtime/mcplet/sd_notify.h"
#include "edge-runtime/mcplet/sync_command.h"
#include "store/kv_client.h"

namespace mcpfleet {
namespace {

// Below the unit's TimeoutStopSec.
constexpr int kStopMillis = 8000;

constexpr char kDefaultConfig[] = "/etc/mcpfleet/mcplet.yaml";

struct Arguments {
  std::string config = kDefaultConfig;
  std::string timeout = "60s";
  std::string source;  // "": as the configuration says
  bool check_config = false, drain = false;
};

StatusOr<Config> Configuration(const Arguments& arguments) {
  std::vector<Violation> violations;
  StatusOr<Config> config = LoadConfig(arguments.config, &violations);
  // Without any file, mcplet runs with its defaults; a file that was named must be there.
  if (!config.ok() && config.status().code() == StatusCode::kNotFound && arguments.config == kDefaultConfig)
    config = DefaultConfig();
  for (const Violation& violation : violations) std::cerr << ToString(violation) << "\n";
  if (!config.ok() && violations.empty()) std::cerr << "error: " << Message(config.status()) << "\n";
  if (!config.ok() || arguments.source.empty()) return config;
  if (const Status set = SetSources(arguments.source, &*config); !set.ok()) {
    std::cerr << "error: " << Message(set) << "\n";
    return set;
  }
  return config;
}

// Until SIGTERM or SIGINT; feeds the watchdog meanwhile.
void AwaitSignal(const sigset_t& signals) {
  std::optional<Duration> watchdog = SdWatchdogInterval();
  for (;;) {
    if (!watchdog.has_value()) {
      int signal = 0;
      if (sigwait(&signals, &signal) == 0) return;
      continue;
    }
    timespec wait{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(*watchdog).count(),
                  .tv_nsec = watchdog->count() % 1'000'000'000};
    if (sigtimedwait(&signals, nullptr, &wait) > 0) return;
    SdNotify("WATCHDOG=1");
  }
}

int Run(const Arguments& arguments) {
  StatusOr<Config> config = Configuration(arguments);
  if (!config.ok()) return 1;
  if (arguments.check_config) {
    std::cout << arguments.config << ": valid\n";
    return 0;
  }
  SetLogLevel(config->log_level);
  SetLogFormat(config->log_format);
  StatusOr<Duration> timeout = ParseDuration(arguments.timeout);
  if (!timeout.ok()) {
    std::cerr << "error: --timeout: " << Message(timeout.status()) << "\n";
    return 2;
  }
  // Servers run as other users and read what is made here; what is secret has a mode of its own.
  umask(022);
  // Before any thread: every thread inherits the mask, so the signals reach sigwait only.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  InitRestThreads();

  SystemClock clock;
  StatusOr<std::unique_ptr<Agent>> agent = Agent::Create(*config, clock);
  if (!agent.ok()) {
    LOG_ERROR("mcplet can't start", {{"error", agent.status()}});
    return 1;
  }
  if (arguments.drain) {
    Status drained = (*agent)->Drain(Deadline::After(*timeout));
    if (!drained.ok()) LOG_ERROR("not every server could be stopped", {{"error", drained}});
    return drained.ok() ? 0 : 1;
  }
  if (Status started = (*agent)->Start(); !started.ok()) {
    LOG_ERROR("mcplet can't start", {{"error", started}});
    return 1;
  }
  LOG_INFO("mcplet runs", {{"version", Version()}, {"node", config->node}, {"admin", (*agent)->admin_address()}});
  SdNotify("READY=1");
  AwaitSignal(signals);
  SdNotify("STOPPING=1");
  LOG_INFO("mcplet stops; the servers go on");
  // A pull under way may take many minutes, and mcplet loses nothing by ending in the middle of anything.
  std::thread([] {
    poll(nullptr, 0, kStopMillis);
    LOG_WARNING("something was still under way; the next mcplet begins it anew");
    _exit(0);
  }).detach();
  (*agent)->Stop();
  return 0;
}

// The join token, from the file or, without one, from stdin: never from the command line, which every user can read.
StatusOr<std::string> ReadJoinToken(const std::string& file) {
  if (!file.empty()) return ReadFile(file, kJoinTokenBytes);
  if (isatty(STDIN_FILENO) == 1) std::cerr << "the join token, as `mcpctl node enroll` printed it: " << std::flush;
  std::string token;
  std::getline(std::cin, token);
  return token;
}

int RunJoin(JoinOptions options, const std::string& token_file, const std::string& config_path) {
  InitRestThreads();
  options.config_path = config_path;
  if (options.once) {
    const StatusOr<bool> joined = WriteJoinedAgain(options, std::cout, std::cerr);
    if (!joined.ok()) std::cerr << "error: " << Message(joined.status()) << "\n";
    if (!joined.ok() || *joined) return joined.ok() ? 0 : 1;
  }
  StatusOr<std::string> token = ReadJoinToken(token_file);
  const Status joined = token.ok() ? Join(options, *token, std::cout, std::cerr) : token.status();
  if (!joined.ok()) std::cerr << "error: " << Message(joined) << "\n";
  return joined.ok() ? 0 : 1;
}

void AddJoin(CLI::App& app, const std::string& config_path, int* code) {
  auto options = std::make_shared<JoinOptions>();
  auto token_file = std::make_shared<std::string>();
  auto* join = app.add_subcommand("join", "Make this machine a node of the fleet whose Worker is at URL");
  join->fallthrough();
  join->footer(
      "The join token is read from a file or from stdin, never from the command line. The name must be the one that "
      "the\n"
      "token was made for; it is metadata.name of the configuration, the host's name without one. May be repeated.\n\n"
      "Examples:\n  mcplet join https://fleet.example.com --token-file /run/join-token\n"
      "  ssh operator@laptop mcpctl node enroll edge-01 --label site=berlin | mcplet join https://fleet.example.com "
      "--name edge-01");
  join->add_option("url", options->url, "the Worker's URL")->required();
  join->add_option("--token-file", *token_file, "a file with the join token; stdin when not given");
  join->add_option("--name", options->name, "the node's name");
  join->add_option("--ca-file", options->ca_file, "certificates to trust instead of the system's, in PEM form");
  join->add_option("--proxy", options->proxy, "an HTTP proxy, http://[USER:PASSWORD@]HOST[:PORT]");
  join->add_flag("--force", options->force, "leave the fleet that this machine is a node of");
  join->add_flag("--new-keys", options->new_keys,
                 "with new keys instead of those that are there: for a machine made from a copy of another");
  join->add_flag("--once", options->once,
                 "not again for a store that was joined before: then only the configuration is written anew");
  join->add_option("--from", options->from,
                   "take the other settings from this file and leave it as it is, for one that can't be written");
  join->callback([options, token_file, &config_path, code] { *code = RunJoin(*options, *token_file, config_path); });
}

}  // namespace
}  // namespace mcpfleet

int main(int argc, char** argv) {
  mcpfleet::gitsync::BecomeSshIfAsked(argc, argv);
  mcpfleet::LimitHeaps();
  mcpfleet::Arguments arguments;
  CLI::App app{"mcplet keeps the MCP servers of this node as the fleet's store says."};
  app.name("mcplet");
  app.set_version_flag("--version", std::string("mcplet ") + mcpfleet::Version());
  app.add_option("--config", arguments.config,
                 "the configuration (kind MCPletConfiguration); without the default file, defaults hold");
  app.add_flag("--check-config", arguments.check_config, "only say whether the configuration is valid");
  app.add_flag("--drain", arguments.drain, "stop and remove every server of this node, then end; mcplet must not run");
  app.add_option("--timeout", arguments.timeout, "of --drain");
  app.add_option(
      "--source", arguments.source,
      "where the desired state comes from, instead of spec.sources: store, kubernetes, or both with a comma");
  app.footer(
      "Examples:\n  mcplet --check-config\n  mcplet --config /etc/mcpfleet/mcplet.yaml\n  mcplet doctor\n"
      "  mcplet --source=kubernetes\n"
      "  mcplet join https://fleet.example.com --token-file /run/join-token\n"
      "  mcplet sync --git https://git.example.com/fleet.git --allowed-signers /etc/mcpfleet/allowed-signers\n\n"
      "SIGTERM ends mcplet and leaves the servers running; the next mcplet adopts them.");
  int code = 0;
  auto* doctor = app.add_subcommand("doctor", "Say what this node can enforce and run, and how to mend what it can't");
  doctor->fallthrough();
  doctor->callback([&] {
    mcpfleet::StatusOr<mcpfleet::Config> config = mcpfleet::Configuration(arguments);
    mcpfleet::SystemClock clock;
    code = config.ok() && mcpfleet::RunDoctor(*config, clock, std::cout) ? 0 : 1;
  });
  mcpfleet::AddJoin(app, arguments.config, &code);
  mcpfleet::AddSync(
      app, [&] { return mcpfleet::Configuration(arguments); }, &code);
  CLI11_PARSE(app, argc, argv);
  return app.get_subcommands().empty() ? mcpfleet::Run(arguments) : code;
}
