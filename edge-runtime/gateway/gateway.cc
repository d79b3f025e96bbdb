#include "edge-runtime/gateway/gateway.h"

#include <algorithm>
#include <future>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/http/server.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/version.h"
#include "edge-runtime/gateway/endpoint.h"
#include "edge-runtime/gateway/jwks_fetch.h"
#include "edge-runtime/gateway/origin_policy.h"

namespace mcpfleet::gateway {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
constexpr std::string_view kMetadataPrefix = "/.well-known/oauth-protected-resource";

bool IsLoopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

// The event loop of the HTTP server.
class ServerLoop final : public Loop {
 public:
  explicit ServerLoop(http::Server& server) : server_(server) {}
  MonoTime Now() const override { return std::chrono::steady_clock::now(); }
  void Post(std::function<void()> task) override { server_.Post(std::move(task)); }
  void PostAt(MonoTime when, std::function<void()> task) override { server_.PostAt(when, std::move(task)); }

 private:
  http::Server& server_;
};

// Reads and writes the pipes of clients' children on the HTTP server's loop: a call costs no way to another thread.
class ClientIo {
 public:
  ClientIo(ClientSessions& sessions, boost::asio::io_context& loop)
      : sessions_(sessions), ready_(loop, sessions.ClientIoFd()) {
    Wait();
  }
  ~ClientIo() { ready_.release(); }  // the descriptor is the host's

 private:
  void Wait() {
    ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      self_.Bind([](ClientIo& self, const boost::system::error_code& error) {
                        if (error) return;
                        self.sessions_.RunClientIo();
                        self.Wait();
                      }));
  }
  ClientSessions& sessions_;
  boost::asio::posix::stream_descriptor ready_;
  const Self<ClientIo> self_{this};
};

// What the controller reads from other threads.
class TrafficBoard {
 public:
  int Conversations(const std::string& instance) const {
    MutexLock lock(&mu_);
    auto it = conversations_.find(instance);
    return it == conversations_.end() ? 0 : it->second;
  }
  std::optional<MonoTime> LastUsed(const ServerKey& server) const {
    MutexLock lock(&mu_);
    auto it = used_.find(server);
    return it == used_.end() ? std::nullopt : std::optional(it->second);
  }
  void Use(const ServerKey& server, MonoTime now) {
    MutexLock lock(&mu_);
    used_[server] = now;
  }
  void Forget(const ServerKey& server) {
    MutexLock lock(&mu_);
    used_.erase(server);
    per_server_.erase(server);
    Sum();
  }
  // True when an instance lost its last conversation.
  bool Set(const ServerKey& server, std::map<std::string, int> conversations) {
    MutexLock lock(&mu_);
    std::map<std::string, int>& before = per_server_[server];
    if (before == conversations) return false;
    bool lost = false;
    for (const auto& [instance, count] : before) lost = lost || !conversations.contains(instance);
    before = std::move(conversations);
    Sum();
    return lost;
  }
  void SetListener(std::function<void(const ServerKey&)> changed) {
    MutexLock lock(&listener_mu_);
    listener_ = std::move(changed);
  }
  // The listener only posts: called under a lock of its own, so that none runs after SetListener(nullptr).
  void Tell(const ServerKey& server) {
    MutexLock lock(&listener_mu_);
    if (listener_) listener_(server);
  }

 private:
  void Sum() EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    conversations_.clear();
    for (const auto& [server, instances] : per_server_) {
      for (const auto& [instance, count] : instances) conversations_[instance] += count;
    }
  }
  mutable Mutex mu_;
  std::map<ServerKey, MonoTime> used_ GUARDED_BY(mu_);
  std::map<ServerKey, std::map<std::string, int>> per_server_ GUARDED_BY(mu_);
  std::map<std::string, int> conversations_ GUARDED_BY(mu_);
  Mutex listener_mu_;
  std::function<void(const ServerKey&)> listener_ GUARDED_BY(listener_mu_);
};

// "/ns/name/rest" in parts; nullopt for any other path.
struct Place {
  ServerKey server;
  std::string_view what;
};
std::optional<Place> PlaceOf(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  const size_t name = path.find('/', 1) + 1;
  const size_t what = name == 0 ? 0 : path.find('/', name) + 1;
  const bool three = what != 0 && path.find('/', what) == std::string_view::npos;
  if (!three || name <= 2 || what == name + 1) return std::nullopt;
  return Place{{std::string(path.substr(1, name - 2)), std::string(path.substr(name, what - name - 1))},
               path.substr(what)};
}

http::Response RefusalOf(int status) {
  return http::JsonResponse(status, ErrorText("", kServerError, http::ReasonPhrase(status)));
}

// Everything that lives on the loop.
class Hall {
 public:
  Hall(const GatewayOptions& options, const GatewayDeps& deps, Loop& loop, http::Server& server, TrafficBoard& board,
       std::vector<std::string> bases, std::optional<RequestLog> access, std::optional<RequestLog> audit)
      : options_(options),
        deps_(deps),
        loop_(loop),
        server_(server),
        board_(board),
        bases_(std::move(bases)),
        origins_(options.public_urls, options.allowed_hosts, AllOrigins(options), IsLoopback(options.address)),
        tunnel_origins_({}, {}, AllOrigins(options), false),
        access_(std::move(access)),
        audit_(std::move(audit)),
        keys_(deps.clock, MakeHttpsFetch(loop)),
        children_(deps.sessions, loop, {.changed = [this](const std::string& instance) { OnChildren(instance); }}),
        client_io_(deps.sessions, server.context()) {
    if (!options_.keys_directory.empty()) keys_.SetDirectory(options_.keys_directory);
    if (!options_.sessions_directory.empty()) kept_.emplace(options_.sessions_directory);
  }

  void Handle(http::Request& request, std::shared_ptr<http::Responder> to);
  void Update(const ServerKey& key);
  void Release() {
    for (auto& [key, endpoint] : endpoints_) endpoint->Release();
  }

 private:
  static std::vector<std::string> AllOrigins(const GatewayOptions& options) {
    std::vector<std::string> all = options.allowed_origins;
    all.insert(all.end(), options.cors_origins.begin(), options.cors_origins.end());
    return all;
  }
  void OnChildren(const std::string& instance) {
    for (auto& [key, endpoint] : endpoints_) endpoint->OnChildrenChanged(instance);
  }
  std::unique_ptr<Endpoint> MakeEndpoint(ClientTarget target);
  Endpoint* Find(const ServerKey& key, bool* synced);
  StatusOr<std::shared_ptr<HttpUpstream>> MakeUpstream(const ClientTarget& target);
  std::vector<std::string> NamesOf(const ServerKey& key) const {
    return deps_.names_of ? deps_.names_of(key) : std::vector<std::string>();
  }
  std::vector<std::string> UrlsOf(const ServerKey& key) const;
  // Whether the request may go on; else it was answered. `server`: whom it is for, null when it names none.
  bool CheckOrigin(const http::Request& request, const ServerKey* server, http::Responder& to);
  void SendHealth(const Endpoint* endpoint, http::Responder& to);
  void SendMetadata(const std::optional<Place>& place, const std::string& cors, http::Responder& to);
  bool AllowsCors(const std::string& origin) const;
  void Preflight(const http::Request& request, const std::string& origin, http::Responder& to);
  void Log(const LoggedRequest& request);
  void Tick();
  void ArmTick();

  const GatewayOptions options_;
  const GatewayDeps deps_;
  Loop& loop_;
  http::Server& server_;
  TrafficBoard& board_;
  const std::vector<std::string> bases_;  // of endpoints' URLs
  const OriginPolicy origins_;
  const OriginPolicy tunnel_origins_;  // of who comes by the tunnel's socket
  std::optional<RequestLog> access_, audit_;
  JwksCache keys_;
  std::optional<KeptSessions> kept_;
  Children children_;
  ClientIo client_io_;
  std::map<ServerKey, std::unique_ptr<Endpoint>> endpoints_;
  const Self<Hall> self_{this};
  bool ticking_ = false;
  bool logging_ = false;
};

std::vector<std::string> Hall::UrlsOf(const ServerKey& key) const {
  const std::string path = "/" + key.namespace_ + "/" + key.name + "/mcp";
  std::vector<std::string> urls;
  for (const std::string& name : NamesOf(key)) urls.push_back("https://" + name + path);
  for (const std::string& base : bases_) urls.push_back(base + path);
  return urls;
}

std::unique_ptr<Endpoint> Hall::MakeEndpoint(ClientTarget target) {
  const GatewayLimits& limits = options_.limits;
  EndpointSettings settings{.max_sessions = options_.max_sessions,
                            .max_batch = limits.batch_messages,
                            .log_arguments = options_.log_arguments,
                            .session = limits.session,
                            .modern = limits.modern,
                            .wake_timeout = limits.wake_timeout};
  settings.urls = UrlsOf(target.server->key);
  return std::make_unique<Endpoint>(
      Endpoint::Wiring{loop_, deps_.clock, children_, [this](const ClientTarget& of) { return MakeUpstream(of); },
                       keys_, deps_.metrics, [this](const LoggedRequest& request) { Log(request); },
                       [this](const ServerKey& server) {
                         board_.Use(server, deps_.clock.Now());
                         auto it = endpoints_.find(server);
                         if (it != endpoints_.end() && !it->second->ready()) board_.Tell(server);
                       },
                       deps_.trusted_time, kept_ ? &*kept_ : nullptr},
      std::move(settings), std::move(target));
}

StatusOr<std::shared_ptr<HttpUpstream>> Hall::MakeUpstream(const ClientTarget& target) {
  HttpUpstream::Options options{.url = target.url, .identity = {"mcpfleet", Version()}};
  const ServerSpec& spec = target.server->spec;
  if (const auto* remote = std::get_if<RemoteSource>(&spec.source)) {
    options.headers = remote->headers;
    options.secrets = target.server->secrets;
  }
  if (target.network_pid != 0) {
    if (!deps_.connect_in_namespace) return Unimplemented("no way into the server's network namespace");
    options.connect = [connect = deps_.connect_in_namespace, pid = target.network_pid, port = spec.port] {
      return connect(pid, "127.0.0.1", static_cast<uint16_t>(port));
    };
  }
  return HttpUpstream::Create(std::move(options), loop_, server_.context());
}

void Hall::Update(const ServerKey& key) {
  StatusOr<ClientTarget> target = deps_.servers.ClientTargetOf(key);
  auto it = endpoints_.find(key);
  if (!target.ok()) {
    if (it == endpoints_.end()) return;
    it->second->Close();
    board_.Forget(key);
    // From the loop: links and sessions may be on the way of a task.
    loop_.Post([gone = std::shared_ptr<Endpoint>(std::move(it->second))] {});
    endpoints_.erase(it);
    return;
  }
  if (it == endpoints_.end()) {
    endpoints_.emplace(key, MakeEndpoint(*std::move(target)));
  } else {
    it->second->SetUrls(UrlsOf(key));
    it->second->SetTarget(*std::move(target));
  }
  ArmTick();
}

bool Hall::AllowsCors(const std::string& origin) const {
  const std::string clean = OriginOf(origin);
  for (const std::string& allowed : options_.cors_origins) {
    if (!clean.empty() && OriginOf(allowed) == clean) return true;
  }
  return false;
}

bool Hall::CheckOrigin(const http::Request& request, const ServerKey* server, http::Responder& to) {
  const bool tunnel = !options_.tunnel_socket.empty() && to.peer().address == "unix";
  const std::vector<std::string> names = server == nullptr ? std::vector<std::string>() : NamesOf(*server);
  const auto any = [&names](bool (*is)(std::string_view, std::string_view), std::string_view header) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return is(header, name); });
  };
  const std::string host = request.headers.Get("Host").value_or("");
  if (!any(NamesHost, host) && (tunnel || !origins_.AllowsHost(host))) {
    deps_.metrics.GatewayRejected("host");
    const char* what = tunnel
                           ? "Host is not allowed here: the server is not exposed by this name (spec.expose.hostname)"
                           : "Host is not allowed here: add it to spec.gateway.publicUrls or allowedHosts";
    to.Send(http::JsonResponse(403, ErrorText("", kServerError, what)));
    return false;
  }
  const std::string* origin = request.headers.Find("Origin");
  const OriginPolicy& policy = tunnel ? tunnel_origins_ : origins_;
  if (origin != nullptr && !any(IsPageOf, *origin) && !policy.AllowsOrigin(*origin)) {
    deps_.metrics.GatewayRejected("origin");
    to.Send(http::JsonResponse(
        403, ErrorText("", kServerError, "Origin is not allowed here: add it to spec.gateway.allowedOrigins")));
    return false;
  }
  return true;
}

void Hall::Preflight(const http::Request& request, const std::string& origin, http::Responder& to) {
  http::Response response{.status = 204};
  response.headers.Add("Access-Control-Allow-Origin", origin);
  response.headers.Add("Vary", "Origin");
  response.headers.Add("Access-Control-Allow-Methods", "GET, POST, DELETE");
  // Mcp-Param-* has no end: what is asked for is what is allowed.
  response.headers.Add("Access-Control-Allow-Headers",
                       request.headers.Get("Access-Control-Request-Headers").value_or("Content-Type"));
  response.headers.Add("Access-Control-Max-Age", "600");
  to.Send(std::move(response));
}

void Hall::SendHealth(const Endpoint* endpoint, http::Responder& to) {
  const bool good = endpoint != nullptr && endpoint->target().healthy;
  if (good) return to.Send(http::TextResponse(200, "ok\n"));
  if (endpoint == nullptr) return to.Send(http::TextResponse(404, "no such server on this node\n"));
  to.Send(http::TextResponse(503, "not ready: " + endpoint->target().reason + "\n"));
}

void Hall::SendMetadata(const std::optional<Place>& place, const std::string& cors, http::Responder& to) {
  const std::optional<Face> face = place ? FaceOf(place->what) : std::nullopt;
  auto it = face && face != Face::kMessages ? endpoints_.find(place->server) : endpoints_.end();
  const std::optional<std::string> metadata = it == endpoints_.end() ? std::nullopt : it->second->Metadata(*face);
  http::Response response = metadata ? http::JsonResponse(200, *metadata)
                                     : http::TextResponse(404, "no authorization server is known for this resource\n");
  if (!cors.empty()) {
    response.headers.Add("Access-Control-Allow-Origin", cors);
    response.headers.Add("Vary", "Origin");
  }
  to.Send(std::move(response));
}

// News of a server may still be on its way here when its first request comes. `synced`: whether one that is not found
// is not there.
Endpoint* Hall::Find(const ServerKey& key, bool* synced) {
  auto it = endpoints_.find(key);
  if (it == endpoints_.end()) {
    *synced = deps_.servers.Synced();  // before the look: what is known by then is seen by it
    Update(key);
    it = endpoints_.find(key);
  }
  return it == endpoints_.end() ? nullptr : it->second.get();
}

void Hall::Handle(http::Request& request, std::shared_ptr<http::Responder> to) {
  const std::string_view path = request.Path();
  const bool metadata = path.starts_with(kMetadataPrefix);
  const std::optional<Place> place = PlaceOf(metadata ? path.substr(kMetadataPrefix.size()) : path);
  if (!CheckOrigin(request, place ? &place->server : nullptr, *to)) return;
  const std::string origin = request.headers.Get("Origin").value_or("");
  const bool cors = !origin.empty() && AllowsCors(origin);
  if (request.method == "OPTIONS" && cors) return Preflight(request, origin, *to);
  if (metadata && request.method == "GET") return SendMetadata(place, cors ? origin : "", *to);
  if (metadata) return to->Send(RefusalOf(404));
  bool synced = true;
  Endpoint* endpoint = place ? Find(place->server, &synced) : nullptr;
  if (place && place->what == "healthz" && (request.method == "GET" || request.method == "HEAD"))
    return SendHealth(endpoint, *to);
  const std::optional<Face> face = place ? FaceOf(place->what) : std::nullopt;
  if (endpoint == nullptr && face && !synced) {
    http::Response later = http::JsonResponse(503, ErrorText("", kServerError, "this node has just started"));
    later.headers.Add("Retry-After", "1");
    return to->Send(std::move(later));
  }
  if (endpoint == nullptr || !face) {
    return to->Send(http::JsonResponse(
        404, ErrorText("", kServerError, "no such server here; endpoints are /<namespace>/<server>/mcp")));
  }
  endpoint->Handle(*face, std::move(request), std::move(to), cors ? origin : "");
  ArmTick();
}

void Hall::Log(const LoggedRequest& request) {
  const WallTime now = deps_.clock.Wall();
  if (access_) access_->Add(request, now);
  if (audit_ && request.method == "tools/call") audit_->Add(request, now);
  for (size_t i = 0; request.method == "batch" && i < request.tools.size(); ++i) {
    LoggedRequest call = request;
    call.method = "tools/call";
    call.tools = {request.tools[i]};
    if (access_) access_->Add(call, now);
    if (audit_) audit_->Add(call, now);
  }
  if (std::exchange(logging_, true)) return;
  // After whatever else is ready: many answers come in one turn of the loop.
  loop_.Post(self_.Bind([](Hall& self) {
    self.logging_ = false;
    if (self.access_) self.access_->Flush();
    if (self.audit_) self.audit_->Flush();
  }));
}

void Hall::ArmTick() {
  if (std::exchange(ticking_, true)) return;
  loop_.PostAt(deps_.clock.Now() + kTick, self_.Bind([](Hall& self) { self.Tick(); }));
}

// Only while there is something that time changes: an idle gateway sleeps.
void Hall::Tick() {
  ticking_ = false;
  bool work = false;
  const MonoTime now = deps_.clock.Now();
  for (auto& [key, endpoint] : endpoints_) {
    endpoint->Tick(now);
    if (board_.Set(key, endpoint->Conversations())) board_.Tell(key);
    work = work || endpoint->HasWork();
  }
  if (work) ArmTick();
}

class GatewayImpl final : public Gateway {
 public:
  static StatusOr<std::unique_ptr<Gateway>> Create(const GatewayOptions& options, const GatewayDeps& deps) {
    std::optional<RequestLog> access, audit;
    if (!options.access_log.empty()) {
      ASSIGN_OR_RETURN(access, RequestLog::Open({.path = options.access_log}));
    }
    if (!options.audit_log.empty()) {
      ASSIGN_OR_RETURN(audit, RequestLog::Open({.path = options.audit_log}));
    }
    auto gateway = std::make_unique<GatewayImpl>();
    GatewayImpl* self = gateway.get();
    http::Server::Options server{.address = options.address,
                                 .port = options.port,
                                 .unix_beside = options.tunnel_socket,
                                 .unix_beside_mode = 0666,
                                 .max_connections = options.max_connections,
                                 .max_header = options.limits.header_bytes,
                                 .max_body = options.max_body,
                                 .max_queued = options.limits.queued_bytes,
                                 .header_timeout = options.limits.header_timeout,
                                 .body_timeout = options.limits.body_timeout,
                                 .idle_timeout = options.limits.idle_timeout,
                                 .refusal = RefusalOf,
                                 .tls = options.tls};
    server.on_certificate = [self, &metrics = deps.metrics](const StatusOr<WallTime>& expires) {
      self->OnCertificate(expires, metrics);
    };
    ASSIGN_OR_RETURN(gateway->server_,
                     http::Server::Create(server, [self](http::Request& request, std::shared_ptr<http::Responder> to) {
                       if (self->hall_ == nullptr) return to->Send(RefusalOf(503));  // not open yet, or closing
                       self->hall_->Handle(request, std::move(to));
                     }));
    gateway->loop_ = std::make_unique<ServerLoop>(*gateway->server_);
    const std::string local =
        (options.address.find(':') == std::string::npos ? options.address : "[" + options.address + "]") + ":" +
        std::to_string(gateway->server_->port());
    std::vector<std::string> bases;
    for (std::string base : options.public_urls) {
      while (base.ends_with('/')) base.pop_back();
      bases.push_back(std::move(base));
    }
    const std::string scheme = options.tls.empty() ? "http://" : "https://";
    bases.push_back(scheme + local);
    if (options.address == "127.0.0.1")
      bases.push_back(scheme + "localhost:" + std::to_string(gateway->server_->port()));
    gateway->base_ = bases.front();
    gateway->OnLoop([&] {
      gateway->hall_ = std::make_unique<Hall>(options, deps, *gateway->loop_, *gateway->server_, gateway->board_,
                                              std::move(bases), std::move(access), std::move(audit));
    });
    return std::unique_ptr<Gateway>(std::move(gateway));
  }
  ~GatewayImpl() override { Stop(); }

  uint16_t port() const override { return port_ != 0 ? port_ : server_->port(); }
  std::string EndpointOf(const ServerKey& server) const override {
    return base_ + "/" + server.namespace_ + "/" + server.name + "/mcp";
  }
  std::string certificate_problem() const override {
    MutexLock lock(&mu_);
    return certificate_problem_;
  }
  void Stop() override {
    if (server_ == nullptr) return;
    port_ = server_->port();
    OnLoop([this] {
      hall_->Release();
      hall_.reset();
    });
    server_.reset();
  }
  void ServerChanged(const ServerKey& key) override {
    if (loop_ == nullptr) return;
    loop_->Post([this, key] {
      if (hall_ != nullptr) hall_->Update(key);
    });
  }
  int Conversations(const std::string& instance) const override { return board_.Conversations(instance); }
  std::optional<MonoTime> LastUsed(const ServerKey& server) const override { return board_.LastUsed(server); }
  void SetListener(std::function<void(const ServerKey& server)> changed) override {
    board_.SetListener(std::move(changed));
  }

 private:
  // Waits until the loop has done it.
  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    server_->Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  void OnCertificate(const StatusOr<WallTime>& expires, GatewayMetrics& metrics) {
    metrics.GatewayCertificate(expires);
    MutexLock lock(&mu_);
    certificate_problem_ = expires.ok() ? "" : Message(expires.status());
  }

  TrafficBoard board_;
  mutable Mutex mu_;
  std::string certificate_problem_ GUARDED_BY(mu_);
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<ServerLoop> loop_;
  std::unique_ptr<Hall> hall_;  // made, used and destroyed on the loop
  std::string base_;
  uint16_t port_ = 0;  // once it was stopped
};

}  // namespace

StatusOr<std::unique_ptr<Gateway>> Gateway::Create(const GatewayOptions& options, const GatewayDeps& deps) {
  return GatewayImpl::Create(options, deps);
}

}  // namespace mcpfleet::gateway
