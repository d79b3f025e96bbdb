#include "edge-runtime/mcplet/admin.h"

#include <pwd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <list>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "edge-runtime/dashboard/dashboard.h"
#include "edge-runtime/mcplet/admin_http.h"
#include "edge-runtime/mcplet/admin_logs.h"

namespace mcpfleet {
namespace {

using http::Request;
using http::Responder;
using http::Response;

// Requests that wait for a server or follow its log, each on a thread.
constexpr int kMaxBlocking = 32;
constexpr size_t kMaxWatches = 64;
constexpr std::string_view kLoginPath = "/v1/dashboard/login";
constexpr int kMaxPages = 100;
constexpr Duration kDefaultCall = std::chrono::seconds(60);
constexpr Duration kLongestCall = std::chrono::minutes(10);
constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

bool IsPublic(std::string_view path) {
  return path == "/livez" || path == "/readyz" || path == "/healthz" || path == "/metrics";
}

Response MethodNotAllowed(std::string_view allowed) {
  Response response = admin::ErrorResponse(405, "MethodNotAllowed", "allowed: " + std::string(allowed));
  response.headers.Set("Allow", allowed);
  return response;
}

Response Result(const Json& json) { return http::JsonResponse(200, DumpJson(json) + "\n"); }

StatusOr<Duration> CallTimeout(const Request& request) {
  std::optional<std::string> text = request.headers.Get("X-Timeout");
  if (!text) return kDefaultCall;
  StatusOr<Duration> timeout = ParseDuration(*text);
  if (!timeout.ok()) return Annotate(timeout.status(), "X-Timeout");
  return std::min(*timeout, kLongestCall);
}

// The user at the other end of the unix socket.
std::string UserOf(const http::Peer& peer) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (peer.uid >= 0) getpwuid_r(static_cast<uid_t>(peer.uid), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? "uid " + std::to_string(peer.uid) : found->pw_name;
}

StatusOr<LogOptions> ReadLogOptions(const Request& request) {
  LogOptions options;
  options.follow = admin::IsSet(request, "follow");
  options.previous = admin::IsSet(request, "previous");
  if (std::optional<std::string> tail = request.Query("tail")) {
    const char* const stop = tail->data() + tail->size();
    auto [end, error] = std::from_chars(tail->data(), stop, options.tail_lines);
    if (error != std::errc() || end != stop || options.tail_lines < -1) {
      return InvalidArgument("tail: \"" + Printable(*tail, 40) + "\" is no number of lines");
    }
  }
  if (std::optional<std::string> since = request.Query("since")) {
    StatusOr<WallTime> time = ParseTime(*since);
    if (!time.ok()) return Annotate(time.status(), "since");
    options.since = *time;
  }
  return options;
}

}  // namespace

class AdminServer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(AdminBackend& backend, const Clock& clock, std::string token, const AdminOptions& options)
      : backend_(backend),
        clock_(clock),
        token_(std::move(token)),
        dashboard_(options.address.empty() ? nullptr : options.dashboard),
        no_dashboard_(options.address.empty() ? "spec.admin.address is empty: there is no address to serve it at"
                                              : options.no_dashboard) {}

  void Open() {
    end_watch_ = backend_.WatchEvents([weak = weak_from_this()](const Event& event) {
      if (std::shared_ptr<Core> core = weak.lock()) core->Publish(event);
    });
  }
  // No handler runs any more. Waits for the blocking requests.
  void Close() {
    stopping_ = true;
    if (end_watch_) end_watch_();
    MutexLock lock(&mu_);
    watches_.clear();
    while (blocking_ > 0) idle_.Wait(&mu_);
  }

  void HandleUnix(const Request& request, const std::shared_ptr<Responder>& to) {
    if (request.Path() == kLoginPath) return to->Send(Login(request, UserOf(to->peer()), ""));
    Handle(request, to);
  }
  void HandleTcp(const Request& request, const std::shared_ptr<Responder>& to) {
    if (dashboard_ != nullptr && dashboard_->Owns(request)) return dashboard_->Handle(request, to);
    if (dashboard_ == nullptr && (request.Path() == "/" || request.Path().starts_with("/-"))) {
      return to->Send(admin::IsLoopbackHost(request.headers.Get("Host").value_or(""))
                          ? http::TextResponse(404, "There is no dashboard here: " + no_dashboard_ + "\n")
                          : http::TextResponse(403, "host: only loopback is served\n"));
    }
    Status admitted = admin::Admit(request, token_, !IsPublic(request.Path()));
    if (!admitted.ok()) return to->Send(admin::ErrorResponse(admitted));
    if (request.Path() == kLoginPath) return to->Send(LoginByTcp(request));
    Handle(request, to);
  }
  void HandleMetrics(const Request& request, const std::shared_ptr<Responder>& to) {
    if (!IsPublic(request.Path())) return NoSuchPath(*to);
    Handle(request, to);
  }
  void Handle(const Request& request, const std::shared_ptr<Responder>& to) {
    std::optional<std::vector<std::string>> path = admin::Segments(request.Path());
    if (!path) return to->Send(admin::ErrorResponse(InvalidArgument("path: malformed % escape")));
    bool call = path->size() == 5 && path->at(0) == "v1" && path->at(1) == "servers" && path->at(4) == "call";
    if (call && request.method != "POST") return to->Send(MethodNotAllowed("POST"));
    if (!call && request.method != "GET") return to->Send(MethodNotAllowed("GET"));
    if (path->size() == 1) return HandleTop(request, path->at(0), *to);
    if (path->size() >= 2 && path->at(0) == "v1") return HandleV1(request, *path, to);
    NoSuchPath(*to);
  }

 private:
  struct Watch {
    std::string object;  // "": all
    std::shared_ptr<http::StreamWriter> stream;
  };

  // Whoever has the admin token may look at this node, not change the fleet: for that he shows the token that may.
  Response LoginByTcp(const Request& request) {
    if (dashboard_ != nullptr && !dashboard_->IsOperator(request.headers.Get("Mcpfleet-Store-Token").value_or("")))
      return admin::ErrorResponse(PermissionDenied("Mcpfleet-Store-Token: the store's operator token is needed"));
    return Login(request, "admin", request.headers.Get("Host").value_or(""));
  }
  Response Login(const Request& request, const std::string& otherwise, const std::string& host) {
    if (request.method != "POST") return MethodNotAllowed("POST");
    if (dashboard_ == nullptr) return admin::ErrorResponse(FailedPrecondition(no_dashboard_));
    std::string who;
    if (!request.body.empty()) {
      const StatusOr<Json> body = ParseJson(request.body);
      if (!body.ok()) return admin::ErrorResponse(Annotate(body.status(), "body"));
      who = Printable(GetString(*body, "who"), 200);
    }
    return Result(dashboard_->NewLogin(who.empty() ? otherwise : who, host));
  }

  static void NoSuchPath(Responder& to) { to.Send(admin::ErrorResponse(NotFound("no such path"))); }

  void HandleTop(const Request& request, const std::string& name, Responder& to) {
    if (name == "livez" || name == "healthz") return to.Send(http::TextResponse(200, "ok\n"));
    if (name == "readyz") return to.Send(Readiness(admin::IsSet(request, "verbose")));
    if (name != "metrics") return NoSuchPath(to);
    Response response = http::TextResponse(200, backend_.Metrics());
    response.headers.Set("Content-Type", kMetricsType);
    to.Send(response);
  }

  Response Readiness(bool verbose) {
    bool ready = true;
    std::string lines;
    for (const ReadyCheck& check : backend_.Ready()) {
      ready = ready && check.ok;
      if (!check.ok) lines += "[-]" + check.name + ": " + check.message + "\n";
      if (check.ok && verbose) lines += "[+]" + check.name + " ok\n";
    }
    return http::TextResponse(ready ? 200 : 503, lines + (ready ? "ok\n" : "not ready\n"));
  }

  void HandleV1(const Request& request, const std::vector<std::string>& path, const std::shared_ptr<Responder>& to) {
    if (path.size() == 2 && path[1] == "status") return to->Send(Result(NodeStatusToJson(backend_.GetStatus())));
    if (path.size() == 2 && path[1] == "identity") return to->Send(Identity());
    if (path.size() == 2 && path[1] == "events") return HandleEvents(request, *to);
    if (path.size() < 4 || path.size() > 5 || path[1] != "servers") return NoSuchPath(*to);
    ServerKey server{path[2], path[3]};
    if (path.size() == 4) return to->Send(ServerResponse(server));
    if (path[4] == "logs") return HandleLogs(request, server, to);
    if (path[4] == "tools") return HandleTools(request, server, to);
    if (path[4] == "call") return HandleCall(request, server, to);
    NoSuchPath(*to);
  }

  Response Identity() {
    const NodePublicKeys keys = backend_.Keys();
    return Result(
        {{"node", backend_.GetStatus().node}, {"keys", {{"signing", keys.signing}, {"sealing", keys.sealing}}}});
  }

  Response ServerResponse(const ServerKey& server) {
    for (const ServerStatus& status : backend_.GetStatus().servers) {
      if (status.key == server) return Result(ServerStatusToJson(status));
    }
    return admin::ErrorResponse(NotFound("server " + Printable(ToString(server), 140) + " is not on this node"));
  }

  void HandleEvents(const Request& request, Responder& to) {
    std::optional<ServerKey> server;
    if (std::optional<std::string> text = request.Query("server")) {
      StatusOr<ServerKey> key = admin::ParseServerKey(*text);
      if (!key.ok()) return to.Send(admin::ErrorResponse(key.status()));
      server = *key;
    }
    if (admin::IsSet(request, "watch")) return StartWatch(server, to);
    Json items = Json::array();
    for (const Event& event : backend_.Events(server)) items.push_back(EventToJson(event));
    to.Send(Result({{"items", std::move(items)}}));
  }

  void StartWatch(const std::optional<ServerKey>& server, Responder& to) {
    MutexLock lock(&mu_);
    watches_.remove_if([](const Watch& watch) { return watch.stream->closed(); });
    if (stopping_ || watches_.size() >= kMaxWatches) {
      return to.Send(admin::ErrorResponse(Unavailable("too many watches of events")));
    }
    Response head;
    head.headers.Set("Content-Type", "application/x-ndjson");
    head.headers.Set("Cache-Control", "no-store");
    // StartStream only queues for the loop: it calls nothing back.
    watches_.push_back({server ? "MCPServer/" + ToString(*server) : "", to.StartStream(head)});
  }

  void Publish(const Event& event) {
    std::string line = DumpJson(EventToJson(event)) + "\n";
    MutexLock lock(&mu_);
    watches_.remove_if([&](const Watch& watch) {
      bool wanted = watch.object.empty() || watch.object == event.object;
      return wanted ? !watch.stream->Write(line) : watch.stream->closed();
    });
  }

  void HandleLogs(const Request& request, const ServerKey& server, const std::shared_ptr<Responder>& to) {
    StatusOr<LogOptions> options = ReadLogOptions(request);
    if (!options.ok()) return to->Send(admin::ErrorResponse(options.status()));
    RunBlocking(to, [this, server, options = *options, to] {
      admin::SendLogs(backend_, clock_, server, options, to, [this] { return stopping_.load(); });
    });
  }

  void HandleTools(const Request& request, const ServerKey& server, const std::shared_ptr<Responder>& to) {
    StatusOr<Duration> timeout = CallTimeout(request);
    if (!timeout.ok()) return to->Send(admin::ErrorResponse(timeout.status()));
    RunBlocking(to, [this, server, deadline = Deadline::After(*timeout), to] {
      StatusOr<Json> tools = ListTools(server, deadline);
      to->Send(tools.ok() ? Result({{"tools", *std::move(tools)}}) : admin::ErrorResponse(tools.status()));
    });
  }

  StatusOr<Json> ListTools(const ServerKey& server, Deadline deadline) {
    Json tools = Json::array();
    Json params = Json::object();
    for (int page = 0; page < kMaxPages; ++page) {
      ASSIGN_OR_RETURN(Json result, backend_.Call(server, "tools/list", params, deadline));
      const Json& listed = GetMember(result, "tools");
      if (!listed.is_array()) return FailedPrecondition("tools/list: the result has no array \"tools\"");
      tools.insert(tools.end(), listed.begin(), listed.end());
      std::string cursor = GetString(result, "nextCursor");
      if (cursor.empty()) return tools;
      params = {{"cursor", cursor}};
    }
    return FailedPrecondition("tools/list: more than " + std::to_string(kMaxPages) + " pages");
  }

  void HandleCall(const Request& request, const ServerKey& server, const std::shared_ptr<Responder>& to) {
    std::string type = request.headers.Get("Content-Type").value_or("");
    if (!EqualsIgnoreCase(Trim(std::string_view(type).substr(0, type.find(';'))), "application/json")) {
      return to->Send(admin::ErrorResponse(415, "UnsupportedMediaType", "Content-Type: allowed: application/json"));
    }
    StatusOr<Json> body = ParseJson(request.body);
    StatusOr<Duration> timeout = CallTimeout(request);
    if (!body.ok() || !timeout.ok()) {
      return to->Send(admin::ErrorResponse(body.ok() ? timeout.status() : Annotate(body.status(), "body")));
    }
    std::string method = GetString(*body, "method");
    if (method.empty()) return to->Send(admin::ErrorResponse(InvalidArgument("method: is missing")));
    RunBlocking(to,
                [this, server, method, params = GetMember(*body, "params"), deadline = Deadline::After(*timeout), to] {
                  StatusOr<Json> result = backend_.Call(server, method, params, deadline);
                  to->Send(result.ok() ? Result(*result) : admin::ErrorResponse(result.status()));
                });
  }

  void RunBlocking(const std::shared_ptr<Responder>& to, std::function<void()> work) {
    {
      MutexLock lock(&mu_);
      if (stopping_ || blocking_ >= kMaxBlocking) {
        return to->Send(admin::ErrorResponse(Unavailable("too many requests wait for servers")));
      }
      ++blocking_;
    }
    // Detached, but counted: Close waits for it, and the core stays until it is over.
    auto run = [self = shared_from_this(), work = std::move(work)]() mutable {
      work();
      work = nullptr;
      MutexLock lock(&self->mu_);
      --self->blocking_;
      self->idle_.NotifyAll();
    };
    try {
      std::thread(std::move(run)).detach();
    } catch (const std::system_error&) {
      to->Send(admin::ErrorResponse(Unavailable("no thread to run this on")));
      MutexLock lock(&mu_);
      --blocking_;
    }
  }

  AdminBackend& backend_;
  const Clock& clock_;
  const std::string token_;
  dashboard::Dashboard* const dashboard_;  // null: there is none
  const std::string no_dashboard_;
  std::function<void()> end_watch_;
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar idle_;
  int blocking_ GUARDED_BY(mu_) = 0;
  std::list<Watch> watches_ GUARDED_BY(mu_);
};

StatusOr<std::unique_ptr<AdminServer>> AdminServer::Create(const AdminOptions& options, AdminBackend& backend,
                                                           const Clock& clock) {
  std::string token;
  if (!options.address.empty()) {
    if (!admin::IsLoopbackHost(options.address == "::1" ? "[::1]" : options.address)) {
      return InvalidArgument("admin.address: only loopback is allowed, not " + Printable(options.address, 60));
    }
    if (options.token_file.empty()) return InvalidArgument("admin: TCP needs a token file");
    ASSIGN_OR_RETURN(token, admin::LoadOrMakeToken(options.token_file));
  }
  auto core = std::make_shared<Core>(backend, clock, token, options);
  std::unique_ptr<AdminServer> server(new AdminServer(core));
  if (!options.unix_path.empty()) {
    http::Server::Options unix{.unix_path = options.unix_path};
    auto handler = [core](const Request& request, const std::shared_ptr<Responder>& to) {
      core->HandleUnix(request, to);
    };
    ASSIGN_OR_RETURN(server->unix_, http::Server::Create(unix, handler));
  }
  if (!options.address.empty()) {
    http::Server::Options tcp{.address = options.address, .port = options.port};
    auto handler = [core](const Request& request, const std::shared_ptr<Responder>& to) {
      core->HandleTcp(request, to);
    };
    ASSIGN_OR_RETURN(server->tcp_, http::Server::Create(tcp, handler));
    server->dashboard_ = options.dashboard;
    if (server->dashboard_ != nullptr) server->dashboard_->Open(*server->tcp_);
    std::string host = options.address == "::1" ? "[::1]" : options.address;
    server->address_ = host + ":" + std::to_string(server->tcp_->port());
  }
  if (!options.metrics_address.empty()) {
    http::Server::Options metrics{
        .address = options.metrics_address, .port = options.metrics_port, .max_connections = 64};
    auto handler = [core](const Request& request, const std::shared_ptr<Responder>& to) {
      core->HandleMetrics(request, to);
    };
    auto listening = http::Server::Create(metrics, handler);
    if (!listening.ok()) return Annotate(listening.status(), "spec.admin.metricsAddress");
    server->metrics_ = *std::move(listening);
  }
  core->Open();
  return server;
}

AdminServer::~AdminServer() {
  // The servers first: after them no handler starts anything.
  unix_.reset();
  if (dashboard_ != nullptr) dashboard_->Close(*tcp_);
  tcp_.reset();
  metrics_.reset();
  core_->Close();
}

uint16_t AdminServer::port() const { return tcp_ ? tcp_->port() : 0; }
uint16_t AdminServer::metrics_port() const { return metrics_ ? metrics_->port() : 0; }
std::string AdminServer::address() const { return address_; }

}  // namespace mcpfleet
