// mcplet: the node agent of mcpfleet.
#include <sys/stat.h>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/memory.h"
#include "base/version.h"
#include "edge-runtime/mcplet/agent.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/doctor.h"
#include "edge-runtime/mcplet/sd_notify.h"
#include "store/kv_client.h"

namespace mcpfleet {
namespace {

// Below the unit's TimeoutStopSec.
constexpr int kStopMillis = 8000;

constexpr char kDefaultConfig[] = "/etc/mcpfleet/mcplet.yaml";

struct Arguments {
  std::string config = kDefaultConfig;
  std::string timeout = "60s";
  bool check_config = false, drain = false;
};

StatusOr<Config> Configuration(const Arguments& arguments) {
  std::vector<Violation> violations;
  StatusOr<Config> config = LoadConfig(arguments.config, &violations);
  // Without any file, mcplet runs with its defaults; a file that was named must be there.
  if (!config.ok() && config.status().code() == StatusCode::kNotFound && arguments.config == kDefaultConfig)
    return DefaultConfig();
  for (const Violation& violation : violations) std::cerr << ToString(violation) << "\n";
  if (!config.ok() && violations.empty()) std::cerr << "error: " << Message(config.status()) << "\n";
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

}  // namespace
}  // namespace mcpfleet

int main(int argc, char** argv) {
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
  app.footer(
      "Examples:\n  mcplet --check-config\n  mcplet --config /etc/mcpfleet/mcplet.yaml\n  mcplet doctor\n\n"
      "SIGTERM ends mcplet and leaves the servers running; the next mcplet adopts them.");
  int code = 0;
  auto* doctor = app.add_subcommand("doctor", "Say what this node can enforce and run, and how to mend what it can't");
  doctor->fallthrough();
  doctor->callback([&] {
    mcpfleet::StatusOr<mcpfleet::Config> config = mcpfleet::Configuration(arguments);
    mcpfleet::SystemClock clock;
    code = config.ok() && mcpfleet::RunDoctor(*config, clock, std::cout) ? 0 : 1;
  });
  CLI11_PARSE(app, argc, argv);
  return app.got_subcommand(doctor) ? code : mcpfleet::Run(arguments);
}
