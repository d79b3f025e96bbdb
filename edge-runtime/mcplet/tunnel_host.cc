#include "edge-runtime/mcplet/tunnel_host.h"

#include <sys/stat.h>

#include <utility>

#include "base/strings.h"
#include "edge-runtime/process/local_networks.h"
#include "edge-runtime/process/package_tool.h"
#include "edge-runtime/process/sandbox_format.h"
#include "edge-runtime/shim/network.h"

namespace mcpfleet {
namespace {

// What cloudflared took with four connections and some hundred streams is a tenth of it.
constexpr Resources kLimits{.cpu_milli = 2000, .memory_bytes = int64_t{512} << 20, .pids = 256};

std::string HowItEnded(const ProgramReport& report, const std::string& words) {
  if (!report.exit) return "";
  std::string text = report.exit->oom           ? "was killed for its memory limit"
                     : report.exit->signal != 0 ? "was ended by signal " + std::to_string(report.exit->signal)
                                                : "exited with code " + std::to_string(report.exit->code);
  return words.empty() ? text : text + ": " + Printable(words, 400);
}

// An upgrade of the package changes it, so that the new program takes over.
std::string IdentityOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return path;
  return path + " " + std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " +
         std::to_string(info.st_mtim.tv_sec);
}

}  // namespace

TunnelHost::TunnelHost(const Config& config, std::string sandbox_binary)
    : config_(config),
      programs_({.directory = config.TunnelDirectory() + "/connectors",
                 .state_directory = config.state_directory,
                 .sandbox_binary = std::move(sandbox_binary)}) {}

StatusOr<tunnel::ConnectorPlace> TunnelHost::Place() {
  if (const std::string unable = programs_.Unable(); !unable.empty())
    return FailedPrecondition("cloudflared can't be run: " + unable);
  program_ = FindProgram(config_.tunnel.program);
  if (program_.empty()) {
    return FailedPrecondition(config_.tunnel.program +
                              " is not there or not executable: install cloudflared, or set spec.tunnel.program");
  }
  std::string problem = programs_.NoOwnNetwork();
  unreachable_.clear();
  if (problem.empty()) {
    StatusOr<std::vector<std::string>> networks = LocalNetworks();
    if (!networks.ok()) {
      problem = Message(networks.status());
    } else if (networks->size() > static_cast<size_t>(sandbox::kMaxUnreachable)) {
      problem = "this machine has more than " + std::to_string(sandbox::kMaxUnreachable) + " networks of its own";
    } else {
      unreachable_ = *std::move(networks);
    }
  }
  own_network_ = problem.empty();
  if (!own_network_ && config_.tunnel.isolation_required) {
    return FailedPrecondition("spec.tunnel.isolation is Required, but cloudflared can't have a network of its own: " +
                              problem);
  }
  return tunnel::ConnectorPlace{
      .fingerprint = IdentityOf(program_) + (own_network_ ? " without " + Join(unreachable_, " ") : " shared"),
      .unenforced =
          own_network_ ? "" : "cloudflared is in this node's network and reaches all that it does: " + problem};
}

StatusOr<std::vector<tunnel::ConnectorReport>> TunnelHost::List() {
  ASSIGN_OR_RETURN(const std::vector<ProgramReport> programs, programs_.List());
  std::vector<tunnel::ConnectorReport> reports;
  reports.reserve(programs.size());
  for (const ProgramReport& program : programs) {
    reports.push_back({.id = program.id,
                       .running = program.running,
                       .ended = program.running ? "" : HowItEnded(program, programs_.LastWords(program.id))});
  }
  return reports;
}

Status TunnelHost::Start(const tunnel::ConnectorSpec& spec, Deadline deadline) {
  const std::string socket = config_.TunnelSocket();
  return programs_.Start({.id = spec.id,
                          .program = program_,
                          .arguments = spec.arguments,
                          .environment = spec.environment,
                          .binds = {{.source = socket.substr(0, socket.rfind('/')), .target = "/gateway"}},
                          .files = {{"config.yml", spec.config}, {"credentials.json", spec.credentials}},
                          .own_network = own_network_,
                          .unreachable = unreachable_,
                          .limits = kLimits},
                         deadline);
}

StatusOr<UniqueFd> TunnelHost::ConnectToMetrics(const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<ProgramReport> programs, programs_.List());
  for (const ProgramReport& program : programs) {
    if (program.id == id && program.running)
      return ConnectInNamespace(program.pid, "127.0.0.1", tunnel::kMetricsPort, deadline);
  }
  return NotFound(id + ": does not run");
}

}  // namespace mcpfleet
