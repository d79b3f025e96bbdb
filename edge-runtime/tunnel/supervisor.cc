#include "edge-runtime/tunnel/supervisor.h"

#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::tunnel {
namespace {

constexpr size_t kCredentialsBytes = 64 << 10;
constexpr Duration kStartLimit = std::chrono::seconds(40), kRemoveLimit = std::chrono::seconds(15);
constexpr size_t kWordsInConditions = 300;
constexpr char kNothingExposed[] = "no server of this node asks for a hostname; cloudflared starts with the first";

TunnelState Is(ConditionStatus ready, std::string reason, std::string message = "") {
  return {.ready = ready, .reason = std::move(reason), .message = std::move(message), .served = {}};
}
TunnelState NotReady(std::string reason, std::string message) {
  return Is(ConditionStatus::kFalse, std::move(reason), std::move(message));
}

constexpr char kRemoteConfiguration[] =
    "cloudflared runs what is configured for this tunnel at Cloudflare instead of this node's ingress: use a tunnel "
    "that "
    "`cloudflared tunnel create` made";

// What a connected cloudflared serves of what it should.
std::set<std::string> Served(const Health& health, const std::vector<std::string>& hostnames) {
  std::set<std::string> served;
  for (const std::string& hostname : hostnames) {
    if (!health.told || health.hostnames.contains(hostname)) served.insert(hostname);
  }
  return served;
}

// Every part with its length in front: no two lists of parts are one text.
std::string IdOf(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += std::to_string(part.size()) + ":" + part;
  return "tunnel-" + Sha256Hex(all).substr(0, 12);
}

std::string ConnectionsText(int connections) {
  return std::to_string(connections) + (connections == 1 ? " connection" : " connections") + " to Cloudflare";
}

}  // namespace

std::vector<std::string> ConnectorArguments(const std::string& tunnel_id) {
  return {"tunnel",
          "--config",
          kConfigPath,
          "--no-autoupdate",
          "--metrics",
          "127.0.0.1:" + std::to_string(kMetricsPort),
          "--grace-period",
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(kToldGrace).count()) + "s",
          "run",
          "--credentials-file",
          kCredentialsPath,
          tunnel_id};
}

// By the environment, where a version that does not know one of them ignores it.
std::vector<std::string> ConnectorEnvironment(bool isolated) {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp",
                                          "LANG=C.UTF-8",
                                          // Else Cloudflare's side may read its memory profiles and log.
                                          "TUNNEL_MANAGEMENT_DIAGNOSTICS=false"};
  if (isolated) environment.emplace_back("TUNNEL_EDGE_IP_VERSION=4");  // there is no IPv6 in there
  return environment;
}

Supervisor::Supervisor(SupervisorOptions options, const SupervisorDeps& deps)
    : options_(std::move(options)), deps_(deps), state_(Is(ConditionStatus::kUnknown, "Starting")) {}

void Supervisor::SetHostnames(std::vector<std::string> hostnames) {
  MutexLock lock(&mu_);
  if (hostnames == hostnames_) return;
  hostnames_ = std::move(hostnames);
  news_ = true;
  wake_.NotifyAll();
}

std::vector<std::string> Supervisor::hostnames() const {
  MutexLock lock(&mu_);
  return hostnames_;
}

TunnelState Supervisor::state() const {
  MutexLock lock(&mu_);
  return state_;
}

int64_t Supervisor::restarts() const {
  MutexLock lock(&mu_);
  return restart_count_;
}

void Supervisor::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Supervisor::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Supervisor::Run() {
  for (;;) {
    {
      MutexLock lock(&mu_);
      if (stopping_) return;
      news_ = false;
    }
    const bool busy = Look();
    const Deadline next = Deadline::After(busy ? options_.next_look : options_.look);
    MutexLock lock(&mu_);
    while (!stopping_ && !news_ && !next.Expired()) wake_.WaitUntil(&mu_, next);
  }
}

bool Supervisor::Look() {
  const std::vector<std::string> wanted = hostnames();
  bool busy = false;
  switch (options_.mode) {
    case Mode::kOff:
    case Mode::kExternal:
      // What another configuration of this node left running.
      if (deps_.host != nullptr) {
        if (const Status ended = EndAll(Deadline::After(kRemoveLimit)); !ended.ok())
          LOG_WARNING("a cloudflared of before can't be ended", {{"error", ended}});
      }
      Publish(options_.mode == Mode::kOff ? Is(ConditionStatus::kFalse, "Off") : LookExternal(wanted));
      return false;
    case Mode::kManaged:
      Publish(LookManaged(wanted, &busy));
      return busy;
  }
  return false;
}

void Supervisor::Publish(TunnelState state) {
  {
    MutexLock lock(&mu_);
    restart_count_ = restarts_.count();
    if (state == state_) return;
    if (state.ready != state_.ready || state.reason != state_.reason)
      LOG_INFO("tunnel", {{"reason", state.reason}, {"message", state.message}});
    state_ = std::move(state);
  }
  if (deps_.changed) deps_.changed();
}

// --- External -------------------------------------------------------------------------------------------------------

TunnelState Supervisor::LookExternal(const std::vector<std::string>& hostnames) {
  const GatewayOrigin origin = deps_.gateway();
  const StatusOr<std::string> file = IngressFile(hostnames, origin);
  if (!file.ok()) return NotReady("IngressNotWritten", Message(file.status()));
  if (*file != written_) {
    if (const Status written = WriteFileAtomically(options_.ingress_file, *file, 0644); !written.ok())
      return NotReady("IngressNotWritten", Message(written));
    LOG_INFO("ingress written for cloudflared", {{"file", options_.ingress_file}});
    written_ = *file;
  }
  if (options_.metrics_port == 0) {
    return Is(ConditionStatus::kUnknown, "ExternallyManaged",
              "cloudflared is run by somebody else with " + options_.ingress_file +
                  "; set spec.tunnel.metrics so that mcplet sees whether it is connected");
  }
  if (external_ == nullptr) {
    external_ = std::make_unique<http::Client>(http::TcpEndpoint(options_.metrics_host, options_.metrics_port),
                                               http::ClientOptions{.max_body = size_t{4} << 20, .max_idle = 1});
  }
  const Health health = LookAt(*external_, ServiceOf(origin).value_or(""), Deadline::After(options_.ask));
  if (!health.ready()) return NotReady("NotConnected", health.problem);
  TunnelState state = Is(ConditionStatus::kTrue, "Connected", ConnectionsText(health.connections));
  // Its file is read at its start only: without /config nobody knows which one it runs with.
  if (health.told) {
    state.served = Served(health, hostnames);
    if (state.served.size() < hostnames.size())
      state.message += "; it does not run with the present " + options_.ingress_file + ": restart it";
  } else if (!hostnames.empty()) {
    return NotReady("ConfigurationUnknown",
                    "this cloudflared does not tell what it runs with (GET /config): update it");
  }
  return state;
}

// --- Managed --------------------------------------------------------------------------------------------------------

StatusOr<ConnectorSpec> Supervisor::Wanted(const std::vector<std::string>& hostnames) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(options_.credentials_file, kCredentialsBytes));
  StatusOr<Credentials> credentials = ReadCredentials(std::move(text));
  if (!credentials.ok()) return Annotate(credentials.status(), options_.credentials_file);
  ConnectorSpec spec;
  ASSIGN_OR_RETURN(spec.config, IngressFile(hostnames, {.unix_path = kGatewaySocket}));
  ASSIGN_OR_RETURN(spec.place, deps_.host->Place());
  spec.credentials = std::move(credentials->text);
  spec.arguments = ConnectorArguments(credentials->tunnel_id);
  spec.environment = ConnectorEnvironment(spec.place.unenforced.empty());
  std::vector<std::string> parts = {spec.place.fingerprint, spec.config, spec.credentials};
  for (const auto* words : {&spec.arguments, &spec.environment})
    parts.insert(parts.end(), words->begin(), words->end());
  spec.id = IdOf(parts);
  return spec;
}

Health Supervisor::HealthOf(const std::string& id) {
  Memory& memory = memory_[id];
  if (memory.metrics == nullptr) {
    memory.metrics = std::make_unique<http::Client>(
        http::TcpEndpoint("127.0.0.1", kMetricsPort),
        http::ClientOptions{
            .max_body = size_t{4} << 20, .max_idle = 1, .connect = [host = deps_.host, id](Deadline deadline) {
              return host->ConnectToMetrics(id, deadline);
            }});
  }
  const std::string service = ServiceOf({.unix_path = kGatewaySocket}).value_or("");
  return LookAt(*memory.metrics, service, Deadline::After(options_.ask));
}

Status Supervisor::CarryOut(const Action& action, const ConnectorSpec& wanted) {
  switch (action.kind) {
    case Action::Kind::kStart:
      LOG_INFO("cloudflared starts", {{"connector", action.id}});
      restarts_.Started(deps_.clock.Now());
      memory_[action.id].asked_to_end.reset();
      RETURN_IF_ERROR(deps_.host->Start(wanted, Deadline::After(kStartLimit)));
      memory_[action.id].ran = true;
      return OkStatus();
    case Action::Kind::kTerminate:
      LOG_INFO("cloudflared is asked to end", {{"connector", action.id}});
      memory_[action.id].asked_to_end = deps_.clock.Now();
      deps_.host->Terminate(action.id);
      return OkStatus();
    case Action::Kind::kRemove:
      memory_.erase(action.id);
      return deps_.host->Remove(action.id, Deadline::After(kRemoveLimit));
  }
  return OkStatus();
}

TunnelState Supervisor::LookManaged(const std::vector<std::string>& hostnames, bool* busy) {
  const StatusOr<std::vector<ConnectorReport>> reports = deps_.host->List();
  if (!reports.ok()) return NotReady("CannotRun", Message(reports.status()));
  ConnectorSpec wanted;
  Status usable = OkStatus();
  if (!hostnames.empty()) {
    StatusOr<ConnectorSpec> spec = Wanted(hostnames);
    usable = spec.status();
    if (spec.ok()) wanted = *std::move(spec);
  }
  if (std::exchange(last_wanted_, wanted.id) != wanted.id) {
    restarts_.Forgive();
    last_words_.clear();
  }
  PlanInput input{.wanted = wanted.id, .connectors = {}, .now = deps_.clock.Now(), .next_start = {}};
  Health health, other;  // of the wanted one, and of the best of those from before
  bool running = false;
  for (const ConnectorReport& report : *reports) {
    Memory& memory = memory_[report.id];
    if (std::exchange(memory.ran, report.running) && !report.running && !memory.asked_to_end) {
      LOG_WARNING("cloudflared ended", {{"connector", report.id}, {"how", report.ended}});
      last_words_ = report.ended.substr(0, kWordsInConditions);
      restarts_.Ended(input.now);
    }
    if (!report.running) memory.asked_to_end.reset();
    ConnectorView view{.id = report.id, .running = report.running, .asked_to_end = memory.asked_to_end};
    if (report.running && !memory.asked_to_end) {
      Health now = HealthOf(report.id);
      view.ready = now.ready();
      if (report.id == wanted.id) running = true;
      Health& into = report.id == wanted.id ? health : other;
      if (&into == &health || now.ready()) into = std::move(now);
    }
    input.connectors.push_back(std::move(view));
  }
  input.next_start = restarts_.next();
  Status done = OkStatus();
  // Without a configuration that can be used what runs goes on.
  if (usable.ok()) {
    for (const Action& action : PlanConnectors(input)) {
      *busy = true;
      if (done = CarryOut(action, wanted); !done.ok()) {
        if (action.kind == Action::Kind::kStart) {
          restarts_.Ended(deps_.clock.Now());
          last_words_ = ("can't be started: " + Message(done)).substr(0, kWordsInConditions);
        }
        break;
      }
    }
  }
  *busy = *busy || (!wanted.id.empty() && !health.ready());
  const Health& best = health.ready() ? health : other;
  TunnelState state;
  if (!usable.ok()) {
    const bool place = usable.code() == StatusCode::kFailedPrecondition;
    state = NotReady(place ? "CannotRun" : "CredentialsNotUsable", Message(usable));
  } else if (hostnames.empty()) {
    return Is(ConditionStatus::kTrue, "NothingExposed", kNothingExposed);
  } else if (best.ready()) {
    state = Is(ConditionStatus::kTrue, "Connected", ConnectionsText(best.connections));
    if (!wanted.place.unenforced.empty()) {
      state.reason = "NotIsolated";
      state.message += "; " + wanted.place.unenforced;
    }
    if (!health.ready()) {
      state.message += "; another with the present hostnames is not connected yet";
      if (!last_words_.empty()) state.message += ": it " + last_words_;
    }
    if (best.remote) state = NotReady("RemoteConfiguration", kRemoteConfiguration);
  } else if (running) {
    state = NotReady("NotConnected", health.problem);
  } else {
    state = NotReady("NotRunning", last_words_.empty() ? "cloudflared is being started" : "cloudflared " + last_words_);
  }
  // An old one tells what it runs with, or it is not known and counts for nothing.
  if (health.ready()) {
    state.served = Served(health, hostnames);
  } else if (other.ready() && other.told) {
    state.served = Served(other, hostnames);
  }
  return state;
}

Status Supervisor::EndAll(Deadline deadline) {
  if (deps_.host == nullptr) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<ConnectorReport> reports, deps_.host->List());
  Status all = OkStatus();
  for (const ConnectorReport& report : reports) {
    if (report.running) deps_.host->Terminate(report.id);
    if (const Status removed = deps_.host->Remove(report.id, deadline); !removed.ok()) all = removed;
  }
  return all;
}

}  // namespace mcpfleet::tunnel
