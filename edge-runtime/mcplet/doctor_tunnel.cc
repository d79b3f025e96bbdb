#include "edge-runtime/mcplet/doctor_tunnel.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/brief_run.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/libexec.h"
#include "base/strings.h"
#include "edge-runtime/mcplet/tunnel_host.h"
#include "edge-runtime/process/package_tool.h"
#include "edge-runtime/tunnel/health.h"
#include "edge-runtime/tunnel/ingress.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr size_t kFileBytes = size_t{64} << 10;
constexpr size_t kWords = 200;      // of what a program says
constexpr auto kAsk = seconds(30);  // that a program may take to say something

std::string FirstLine(std::string_view text) { return Printable(Trim(text.substr(0, text.find('\n'))), kWords); }
std::string LastLine(std::string_view text) {
  const std::string_view trimmed = Trim(text);
  return Printable(trimmed.substr(trimmed.rfind('\n') + 1), kWords);
}

StatusOr<std::string> VersionOf(const std::string& program) {
  ASSIGN_OR_RETURN(const BriefRun run, RunBriefly({program, "--version"}, Deadline::After(kAsk)));
  if (run.code != 0)
    return FailedPrecondition(program + " --version: code " + std::to_string(run.code) + ": " + LastLine(run.output));
  return FirstLine(run.output);
}

Status Validate(const std::string& program, const std::string& file) {
  ASSIGN_OR_RETURN(const BriefRun run,
                   RunBriefly({program, "tunnel", "--config", file, "ingress", "validate"}, Deadline::After(kAsk)));
  if (run.code == 0) return OkStatus();
  return InvalidArgument(file + ": " + LastLine(run.output));
}

// What cloudflared would be given now for the node's own name, or for none.
Status ValidateOwn(const Config& config, const std::string& program) {
  std::vector<std::string> hostnames;
  if (!config.tunnel.hostname.empty()) hostnames.push_back(config.tunnel.hostname);
  ASSIGN_OR_RETURN(const std::string text, tunnel::IngressFile(hostnames, {.unix_path = tunnel::kGatewaySocket}));
  std::string scratch = config.state_directory + "/.doctor-XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr) return ErrnoStatus(errno, scratch);
  const std::string file = scratch + "/config.yml";
  Status valid = WriteFileAtomically(file, text);
  if (valid.ok()) valid = Validate(program, file);
  RemoveTree(scratch).IgnoreError();
  return valid;
}

Status CheckCredentials(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kFileBytes));
  const Status good = tunnel::ReadCredentials(std::move(text)).status();
  if (!good.ok()) return Annotate(good, path);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if ((info.st_mode & 077) != 0) return PermissionDenied(path + " can be read by others than root");
  return OkStatus();
}

void Ask(http::Client& metrics, const std::string& service, TunnelExam* exam) {
  const tunnel::Health health = tunnel::LookAt(metrics, service, Deadline::After(seconds(5)));
  exam->asked = true;
  exam->connections = health.connections;
  exam->not_connected = health.problem;
}

void LookAtConnectors(const Config& config, TunnelHost& host, TunnelExam* exam) {
  const StatusOr<std::vector<tunnel::ConnectorReport>> reports = host.List();
  if (!reports.ok()) {
    exam->cannot_run = Message(reports.status());
    return;
  }
  for (const tunnel::ConnectorReport& report : *reports) {
    if (!report.running) {
      exam->ended = report.ended;
      continue;
    }
    exam->running = true;
    if (exam->ingress.ok())
      exam->ingress =
          Validate(exam->program, config.TunnelDirectory() + "/connectors/" + report.id + "/files/config.yml");
    http::Client metrics(http::TcpEndpoint("127.0.0.1", tunnel::kMetricsPort),
                         {.max_body = size_t{4} << 20, .connect = [&host, &report](Deadline deadline) {
                            return host.ConnectToMetrics(report.id, deadline);
                          }});
    // One that is connected is enough: while names change there are two.
    if (exam->connections == 0)
      Ask(metrics, tunnel::ServiceOf({.unix_path = tunnel::kGatewaySocket}).value_or(""), exam);
  }
}

void AddManaged(const TunnelExam& exam, std::vector<Finding>* out) {
  if (!exam.credentials.ok()) {
    out->push_back(Broken("tunnel: " + Message(exam.credentials),
                          "the JSON file that `cloudflared tunnel create` wrote, mode 0600, named by "
                          "spec.tunnel.credentialsFile"));
  }
  if (!exam.cannot_run.empty()) {
    out->push_back(Broken("tunnel: " + exam.cannot_run, "what it says; until then nothing is exposed by this node"));
    return;
  }
  if (!exam.unenforced.empty())
    out->push_back(Missing("tunnel: " + exam.unenforced,
                           "apt-get install slirp4netns, or run on a kernel with user "
                           "network namespaces; spec.tunnel.isolation Required refuses it"));
  if (!exam.running && !exam.ended.empty())
    out->push_back(Missing("tunnel: cloudflared " + exam.ended,
                           "tunnel/connectors/*/log in the state directory has its words; mcplet starts it again"));
  if (!exam.running && exam.ended.empty())
    out->push_back(Good("tunnel: no cloudflared runs; mcplet starts it for the first hostname that is exposed"));
}

}  // namespace

TunnelExam LookAtTunnel(const Config& config) {
  TunnelExam exam;
  exam.mode = config.tunnel.mode;
  if (exam.mode == tunnel::Mode::kOff) return exam;
  exam.wanted_program = config.tunnel.program;
  exam.program = FindProgram(exam.wanted_program);
  if (!exam.program.empty()) exam.version = VersionOf(exam.program);
  const bool runs = !exam.program.empty() && exam.version.ok();
  if (exam.mode == tunnel::Mode::kManaged) {
    exam.credentials = CheckCredentials(config.tunnel.credentials_file);
    TunnelHost host(config, FindOwnProgram("mcp-sandbox").value_or(""));
    if (const StatusOr<tunnel::ConnectorPlace> place = host.Place(); !exam.program.empty()) {
      exam.cannot_run = place.ok() ? "" : Message(place.status());
      exam.unenforced = place.ok() ? place->unenforced : "";
    }
    if (runs) exam.ingress = ValidateOwn(config, exam.program);
    if (runs && exam.cannot_run.empty()) LookAtConnectors(config, host, &exam);
    return exam;
  }
  if (access(config.TunnelIngressFile().c_str(), R_OK) == 0) exam.ingress_file = config.TunnelIngressFile();
  if (runs && !exam.ingress_file.empty()) exam.ingress = Validate(exam.program, exam.ingress_file);
  if (config.tunnel.metrics_port != 0) {
    http::Client metrics(http::TcpEndpoint(config.tunnel.metrics_host, config.tunnel.metrics_port),
                         {.max_body = size_t{4} << 20});
    Ask(metrics, "", &exam);
  }
  return exam;
}

void AddTunnel(const TunnelExam& exam, std::vector<Finding>* out) {
  if (exam.mode == tunnel::Mode::kOff) return;
  const bool managed = exam.mode == tunnel::Mode::kManaged;
  if (exam.program.empty() && managed) {
    out->push_back(Broken("tunnel: " + exam.wanted_program + " is not there or not executable",
                          "install cloudflared, or name it in spec.tunnel.program"));
  } else if (exam.program.empty()) {
    out->push_back(
        Good("tunnel: cloudflared is run elsewhere (no " + exam.wanted_program + " here to check its ingress)"));
  } else if (!exam.version.ok()) {
    out->push_back(Broken("tunnel: cloudflared does not run: " + Message(exam.version.status()),
                          "install the package for this machine's architecture anew"));
  } else {
    out->push_back(Good("tunnel: " + exam.program + ", " + *exam.version));
    if (!exam.ingress.ok())
      out->push_back(Broken("tunnel: cloudflared refuses the ingress: " + Message(exam.ingress),
                            "another version of cloudflared; what mcplet writes is for versions from 2022 on"));
    else if (managed || !exam.ingress_file.empty())
      out->push_back(Good("tunnel: cloudflared takes the ingress"));
    else
      out->push_back(Good("tunnel: no ingress is written yet; mcplet does when it runs"));
  }
  if (managed) AddManaged(exam, out);
  if (!exam.asked) return;
  if (exam.connections > 0)
    out->push_back(Good("tunnel: cloudflared has " + std::to_string(exam.connections) + " connections to Cloudflare"));
  else
    out->push_back(Missing("tunnel: cloudflared is not connected: " + exam.not_connected,
                           "let it out to *.argotunnel.com, port 7844 (UDP and TCP); its log says more"));
}

}  // namespace mcpfleet
