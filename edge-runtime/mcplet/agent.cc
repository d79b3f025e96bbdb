#include "edge-runtime/mcplet/agent.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/version.h"
#include "controller/core/controller.h"
#include "edge-runtime/dashboard/dashboard.h"
#include "edge-runtime/mcplet/admin.h"
#include "edge-runtime/mcplet/cluster_source.h"
#include "edge-runtime/mcplet/desired_view.h"
#include "edge-runtime/mcplet/file_notebook.h"
#include "edge-runtime/mcplet/gateway_port.h"
#include "edge-runtime/mcplet/log_shipping.h"
#include "edge-runtime/mcplet/node_admin.h"
#include "edge-runtime/mcplet/node_conditions.h"
#include "edge-runtime/mcplet/runtimes.h"
#include "edge-runtime/mcplet/secret_keeper.h"
#include "edge-runtime/mcplet/session_hosts.h"
#include "edge-runtime/mcplet/status_publisher.h"
#include "edge-runtime/mcplet/store_link.h"
#include "edge-runtime/mcplet/sync_telemetry.h"
#include "edge-runtime/mcplet/tunnel_port.h"
#include "edge-runtime/mcplet/usage_reporter.h"
#include "edge-runtime/probe/mcp_prober.h"
#include "edge-runtime/shim/network.h"
#include "edge-runtime/shim/shim_host.h"
#include "edge-runtime/telemetry/event_log.h"
#include "edge-runtime/telemetry/prometheus_metrics.h"
#include "store/trust/node_keys.h"

namespace mcpfleet {
namespace {

constexpr Duration kNodeLook = std::chrono::seconds(30);
constexpr Duration kBadAnswerShown = std::chrono::hours(1);
constexpr Duration kRuntimeCheck = std::chrono::seconds(3);
// How long what a runtime says of itself holds. A new head makes the node look, while its engine has servers to start.
constexpr Duration kRuntimeCheckHolds = std::chrono::seconds(10);

std::vector<std::string> StoreOperations() {
  std::vector<std::string> names;
  for (KvOperation operation : kKvOperations) names.emplace_back(ToString(operation));
  return names;
}

// What the controller says of a server goes to the store, to Kubernetes (null: there is none) and to the metrics.
class StatusFan final : public StatusSink {
 public:
  StatusFan(StatusPublisher& publisher, StatusSink* cluster, PrometheusMetrics& metrics)
      : publisher_(publisher), cluster_(cluster), metrics_(metrics) {}
  void Set(const ServerStatus& status) override {
    publisher_.Set(status);
    if (cluster_ != nullptr) cluster_->Set(status);
    metrics_.SetServer(status);
  }
  void Remove(const ServerKey& server) override {
    publisher_.Remove(server);
    if (cluster_ != nullptr) cluster_->Remove(server);
    metrics_.RemoveServer(server);
  }

 private:
  StatusPublisher& publisher_;
  StatusSink* const cluster_;
  PrometheusMetrics& metrics_;
};

class NodeAgent final : public Agent {
 public:
  NodeAgent(const Config& config, const Clock& clock)
      : config_(config),
        clock_(clock),
        metrics_({.version = Version(), .store_operations = StoreOperations()}),
        events_(clock),
        sync_telemetry_(metrics_, events_, clock, config.node),
        secrets_(IdentityDirectory(config.state_directory) + "/" + kSealingKeyFile),
        desired_(config.policy, &secrets_) {}
  ~NodeAgent() override { Stop(); }

  Status Open();
  Status Start() override;
  void Stop() override;
  Status Drain(Deadline deadline) override;
  std::string admin_address() const override;
  bool Ready() const override { return controller_->Synced(); }

 private:
  Status Lock();
  void OnState(const AcceptedState& state) LOCKS_EXCLUDED(deliver_mu_);
  void OnCluster(const kube::ClusterState& state) LOCKS_EXCLUDED(deliver_mu_);
  void Deliver(bool changed) EXCLUSIVE_LOCKS_REQUIRED(deliver_mu_);
  Status OpenStore(uint64_t seed);
  bool LookedAtAll() const { return controller_->Synced() && cluster_->state()->known; }
  // Who looks at the logs of which servers, and the lines for them.
  void OnFollow(const std::vector<FollowedServer>& servers);
  bool SendLines(const ServerKey& server, const std::vector<logship::LiveLine>& lines);
  void OnStatusWritten(const Status& written) LOCKS_EXCLUDED(mu_);
  void TellDashboard() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnStep(const Status& step, const SyncStats& stats) LOCKS_EXCLUDED(mu_);
  void OnCount(const SyncStats& stats) LOCKS_EXCLUDED(mu_);
  void LookAtNode() LOCKS_EXCLUDED(mu_);
  void DescribeSources(NodeFacts* facts, NodeStatus* node) const;
  // Without waiting for the next time; also when a look is under way.
  void LookSoon() LOCKS_EXCLUDED(mu_);
  void RunNode();
  // Tries again with each look at the node: whoever has the port may go away.
  void OpenGateway();
  // On this node's own store alone; else why not.
  void MakeDashboard(AdminOptions* options);

  const Config config_;
  const Clock& clock_;
  UniqueFd lock_, pid_file_;
  std::unique_ptr<NodeKeys> keys_;
  PrometheusMetrics metrics_;
  EventLog events_;
  SyncTelemetry sync_telemetry_;  // sync thread
  SecretKeeper secrets_;
  DesiredView desired_;
  Runtimes runtimes_;
  std::unique_ptr<ShimHost> shims_;
  std::unique_ptr<SessionHosts> sessions_;
  std::unique_ptr<McpProber> prober_;
  std::unique_ptr<StoreLink> store_;  // null: the store is no source of this node
  const std::string boot_id_ = RandomHex(8);
  std::unique_ptr<kube::Source> cluster_;  // null: Kubernetes is none
  int64_t cluster_events_ = 0;             // its subscription
  std::unique_ptr<LogShipping> logs_;      // null: none are shipped
  std::unique_ptr<StatusPublisher> publisher_;
  std::unique_ptr<StatusFan> status_;
  std::unique_ptr<FileNotebook> notebook_, artifacts_;
  std::unique_ptr<GatewayPort> gateway_;
  std::unique_ptr<TunnelPort> tunnel_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<UsageReporter> usage_;
  std::unique_ptr<NodeAdmin> node_admin_;
  std::unique_ptr<dashboard::Dashboard> dashboard_;  // null: there is none
  std::unique_ptr<AdminServer> admin_;
  std::vector<Condition> conditions_;           // node thread
  std::map<RuntimeKind, RuntimeCheck> checks_;  // node thread
  MonoTime checked_at_{};                       // node thread
  MemoryTender memory_;                         // node thread
  // Of the sync thread: what conditions were told of the store.
  struct StoreSight {
    bool answers = false, bad_answers = false;
    std::string distrust;
    bool operator==(const StoreSight&) const = default;
  };
  StoreSight store_seen_;

  // Held while a state of either source is spread: the later one must not be overtaken. Not a leaf; nothing that it is
  // held over takes it.
  Mutex deliver_mu_;
  Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  bool look_ GUARDED_BY(mu_) = false;
  std::string status_refused_ GUARDED_BY(mu_);  // why the last write of the status failed
  std::thread node_thread_;
  bool started_ = false;
};

Status NodeAgent::Lock() {
  RETURN_IF_ERROR(MakeDirectories(config_.state_directory, 0711));
  RETURN_IF_ERROR(MakeDirectories(config_.run_directory, 0755));
  std::string path = config_.state_directory + "/mcplet.pid";
  lock_ = UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock_.valid()) return ErrnoStatus(errno, path);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition(config_.state_directory +
                              ": another mcplet runs with this state directory; stop it first");
  }
  std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_.get(), 0) != 0) return ErrnoStatus(errno, path);
  return WriteAll(lock_.get(), pid, Deadline::Never());
}

Status NodeAgent::Open() {
  RETURN_IF_ERROR(Lock());
  ASSIGN_OR_RETURN(NodeKeys keys, NodeKeys::LoadOrCreate(IdentityDirectory(config_.state_directory)));
  keys_ = std::make_unique<NodeKeys>(std::move(keys));
  std::random_device random;
  const uint64_t seed = (uint64_t{random()} << 32) | random();
  ASSIGN_OR_RETURN(shims_, ShimHost::Create(config_.state_directory, clock_));
  ASSIGN_OR_RETURN(runtimes_, MakeRuntimes(config_, clock_));
  sessions_ = std::make_unique<SessionHosts>(*shims_, runtimes_.attachments.get());
  prober_ = std::make_unique<McpProber>(
      clock_, McpProberOptions{.client_version = Version(), .connect_in_namespace = ConnectInNamespace});
  desired_.UseStore(config_.use_store);
  ASSIGN_OR_RETURN(cluster_, OpenClusterSource(
                                 config_, clock_, seed + 1, [this] { return LookedAtAll(); },
                                 [this](const kube::ClusterState& state) { OnCluster(state); }));
  if (config_.use_store) {
    RETURN_IF_ERROR(OpenStore(seed));
    ASSIGN_OR_RETURN(
        logs_, LogShipping::Open(
                   config_,
                   {.runtimes = runtimes_,
                    .metrics = metrics_,
                    .events = events_,
                    .clock = clock_,
                    .boot_id = boot_id_,
                    .seed = seed,
                    .connect = [this] { return store_->ConnectWorker(); },
                    .live = [this](const ServerKey& server,
                                   const std::vector<logship::LiveLine>& lines) { return SendLines(server, lines); }}));
  }
  publisher_ = std::make_unique<StatusPublisher>(
      store_ == nullptr ? nullptr : &store_->status_kv(), clock_,
      StatusPublisherOptions{
          .node = config_.node,
          .boot_id = boot_id_,
          .version = Version(),
          .min_interval = config_.store.status_interval,
          .push = [this](const std::string& status, const std::string& row) { return store_->SendStatus(status, row); },
          .on_write = [this](const Status& written) { OnStatusWritten(written); }});
  status_ = std::make_unique<StatusFan>(*publisher_, cluster_ == nullptr ? nullptr : &cluster_->status(), metrics_);
  notebook_ = std::make_unique<FileNotebook>(config_.state_directory + "/restarts");
  artifacts_ = std::make_unique<FileNotebook>(config_.state_directory + "/artifacts");
  gateway_ = std::make_unique<GatewayPort>(config_);
  ASSIGN_OR_RETURN(tunnel_, TunnelPort::Create(config_, clock_,
                                               {.gateway_port = [this] { return gateway_->port(); },
                                                .server_changed =
                                                    [this](const ServerKey& server) {
                                                      gateway_->ServerChanged(server);
                                                      controller_->Trigger(server);
                                                    },
                                                .changed = [this] { LookSoon(); }}));
  controller_ = std::make_unique<Controller>(
      ControllerDeps{.runtimes = logs_ == nullptr ? runtimes_.Pointers() : logs_->Runtimes(),
                     .sessions = *sessions_,
                     .prober = *prober_,
                     .desired = desired_,
                     .status = *status_,
                     .events = events_,
                     .metrics = metrics_,
                     .clock = clock_,
                     .seed = seed,
                     .node = config_.node,
                     .notebook = notebook_.get(),
                     .artifacts = artifacts_.get(),
                     .traffic = gateway_.get(),
                     .gateway = gateway_.get(),
                     .endpoint_of = [this](const ServerKey& server) { return gateway_->EndpointOf(server); },
                     .exposure_of = [this](const ServerKey& server) { return tunnel_->ExposureOf(server); }},
      ControllerOptions{.artifact_quota_bytes = config_.cache_quota_bytes});
  usage_ = std::make_unique<UsageReporter>(UsageReporterDeps{.runtimes = runtimes_.Pointers(),
                                                             .servers = [this] { return controller_->Statuses(); },
                                                             .traffic = metrics_.gateway(),
                                                             .events = events_,
                                                             .clock = clock_,
                                                             .send =
                                                                 [this](std::vector<std::string> servers) {
                                                                   if (dashboard_ != nullptr)
                                                                     return dashboard_->ShowUsage(servers);
                                                                   return store_ != nullptr &&
                                                                          store_->SendUsage(std::move(servers));
                                                                 }});
  return OkStatus();
}

Status NodeAgent::OpenStore(uint64_t seed) {
  ASSIGN_OR_RETURN(
      store_,
      StoreLink::Open(
          config_, clock_, seed,
          {.on_state = [this](const AcceptedState& state) { OnState(state); },
           .on_request = [this](std::string_view op,
                                int code) { metrics_.StoreRequest(op, code == 0 ? "error" : std::to_string(code)); },
           .on_step = [this](const Status& step, const SyncStats& stats) { OnStep(step, stats); },
           .on_count = [this](const SyncStats& stats) { OnCount(stats); },
           .on_follow = [this](const std::vector<FollowedServer>& servers) { OnFollow(servers); },
           .on_measure = [this](const std::vector<MeasuredServer>& measured) { usage_->SetMeasured(measured); },
           .on_alive = [this] { metrics_.StoreSucceeded(clock_.Wall()); },
           .on_status_stored = [this](int64_t sequence) { publisher_->Stored(sequence); },
           .on_status_lost = [this] { publisher_->PushFailed(); }}));
  return OkStatus();
}

void NodeAgent::OnState(const AcceptedState& state) {
  MutexLock lock(&deliver_mu_);
  Deliver(desired_.Update(state));
}

void NodeAgent::OnCluster(const kube::ClusterState& state) {
  MutexLock lock(&deliver_mu_);
  Deliver(desired_.UpdateCluster(state));
}

void NodeAgent::Deliver(bool changed) {
  if (changed) {
    tunnel_->Update(*desired_.Current());
    controller_->NotifyDesiredChanged();
  }
  if (cluster_ != nullptr) cluster_->SetTaken(desired_.taken());
  LookSoon();
}

void NodeAgent::OnFollow(const std::vector<FollowedServer>& servers) {
  if (logs_ == nullptr) return;
  std::vector<ServerKey> keys;
  keys.reserve(servers.size());
  for (const FollowedServer& each : servers) keys.push_back({each.namespace_, each.server});
  logs_->following().SetFollowed(std::move(keys));
}

bool NodeAgent::SendLines(const ServerKey& server, const std::vector<logship::LiveLine>& lines) {
  std::vector<LiveLine> sent;
  sent.reserve(lines.size());
  for (const logship::LiveLine& each : lines) sent.push_back({each.time, each.text, "stderr"});
  return store_->SendLog(server.namespace_, server.name, std::move(sent));
}

void NodeAgent::LookSoon() {
  MutexLock lock(&mu_);
  look_ = true;
  wake_.NotifyAll();
}

void NodeAgent::OnStatusWritten(const Status& written) {
  std::string refused = written.ok() ? "" : Message(written);
  {
    MutexLock lock(&mu_);
    TellDashboard();
    if (refused == status_refused_) return;
    status_refused_ = std::move(refused);
  }
  LookSoon();  // the condition tells at once
}

// It keeps a record of who is up, which begins when every server was looked at once.
void NodeAgent::TellDashboard() {
  if (!stopping_ && dashboard_ != nullptr && controller_->Synced()) dashboard_->LookOut();
}

void NodeAgent::OnStep(const Status& step, const SyncStats& stats) {
  sync_telemetry_.OnStep(step, stats);
  StoreSight seen{step.ok(), stats.bad_answers > 0, stats.distrust};
  if (step.ok()) {
    MutexLock lock(&deliver_mu_);
    if (desired_.StoreAnswered()) Deliver(true);
  }
  if (std::exchange(store_seen_, seen) != seen) LookSoon();  // StoreReachable and DesiredStateFresh tell at once
}

void NodeAgent::OnCount(const SyncStats& stats) {
  sync_telemetry_.OnCount(stats);
  if (!std::exchange(store_seen_.bad_answers, true))
    LookSoon();  // later ones wait for the next look: there may be many
}

Status NodeAgent::Start() {
  // What runs is known before the store speaks: the cached state is what this node had.
  if (store_ != nullptr) desired_.Update(*store_->state());
  if (cluster_ != nullptr) desired_.UpdateCluster(*cluster_->state());
  tunnel_->Update(*desired_.Current());
  node_admin_ = std::make_unique<NodeAdmin>(NodeAdminDeps{.controller = *controller_,
                                                          .prober = *prober_,
                                                          .runtimes = runtimes_.Pointers(),
                                                          .publisher = *publisher_,
                                                          .events = events_,
                                                          .metrics = metrics_,
                                                          .clock = clock_,
                                                          .keys = keys_->Public()});
  AdminOptions options{.unix_path = config_.AdminSocket(),
                       .address = config_.admin_address,
                       .port = config_.admin_port,
                       .metrics_address = config_.metrics_address,
                       .metrics_port = config_.metrics_port,
                       .token_file = config_.state_directory + "/admin-token"};
  MakeDashboard(&options);
  ASSIGN_OR_RETURN(admin_, AdminServer::Create(options, *node_admin_, clock_));
  notebook_->Start();
  artifacts_->Start();
  OpenGateway();
  if (logs_ != nullptr) logs_->Start();
  controller_->Start();
  tunnel_->Start();
  publisher_->Start();
  usage_->Start();
  if (store_ != nullptr) store_->Start();
  if (cluster_ != nullptr) {
    cluster_events_ = events_.Subscribe([this](const Event& event) { cluster_->Record(event); });
    cluster_->Start();
  }
  node_thread_ = std::thread([this] { RunNode(); });
  started_ = true;
  return OkStatus();
}

void NodeAgent::MakeDashboard(AdminOptions* options) {
  if (store_ == nullptr || !config_.store.embedded) {
    options->no_dashboard = "mcplet serves it for a node with the embedded store; ";
    options->no_dashboard +=
        store_ == nullptr ? "this node follows Kubernetes"
        : config_.store.cloudflare
            ? "this node follows Cloudflare's KV, which has none without the Worker"
            : "this node follows " + config_.store.url + ": a Worker has its own at " + config_.store.url + "/-/";
    return;
  }
  dashboard_ = std::make_unique<dashboard::Dashboard>(dashboard::Host{
      .desired = store_->config_kv(),
      .statuses = store_->status_kv(),
      .clock = clock_,
      .status = [this] { return node_admin_->GetStatus(); },
      .logs = [this](const ServerKey& server, const LogOptions& logs, std::function<bool(std::string_view)> sink,
                     Deadline deadline) { return node_admin_->Logs(server, logs, std::move(sink), deadline); },
      .instance = [this](const ServerKey& server) { return controller_->InstanceOf(server); },
      .open_tail = [this](const InstanceReport& instance, const TailFrom& from,
                          Deadline deadline) { return runtimes_.OpenTail(instance, from, deadline); },
      .measure = [this](std::vector<MeasuredServer> measured) { usage_->SetMeasured(std::move(measured)); },
      .gateway = [this] { return gateway_->PlainEndpoint(); },
      .is_operator = [this](std::string_view token) { return store_->IsOperator(token); },
      .audit_file = config_.state_directory + "/dashboard-audit",
      .record_file = config_.state_directory + "/dashboard-record",
      .boot = std::string(Trim(ReadFile("/proc/sys/kernel/random/boot_id", 64).value_or("")))});
  options->dashboard = dashboard_.get();
}

void NodeAgent::OpenGateway() {
  const Status opened =
      gateway_->Open({.servers = *controller_,
                      .sessions = *shims_,
                      .metrics = metrics_.gateway(),
                      .clock = clock_,
                      .trusted_time =
                          [this] {
                            if (store_ == nullptr) return TrustedTime(clock_.Wall(), BuildTime(), "");
                            const auto state = store_->state();
                            return TrustedTime(clock_.Wall(), BuildTime(), state->head ? state->head->time : "");
                          },
                      .names_of = [this](const ServerKey& server) { return tunnel_->NamesOf(server); },
                      .connect_in_namespace = BeginConnectInNamespace},
                     *controller_);
  if (!opened.ok()) LOG_WARNING("the gateway can't open", {{"error", opened}});
}

void NodeAgent::DescribeSources(NodeFacts* facts, NodeStatus* node) const {
  facts->cluster_used = cluster_ != nullptr;
  if (cluster_ != nullptr) facts->cluster_problem = cluster_->problem();
  facts->store_used = store_ != nullptr;
  if (store_ == nullptr) return;
  facts->store_reachable = store_->reachable();
  facts->store_trouble = store_->trouble();
  const SyncStats stats = store_->stats();
  facts->distrust = stats.distrust;
  if (stats.bad_answers > 0 && clock_.Now() - stats.bad_answer_at < kBadAnswerShown)
    facts->bad_answer = stats.bad_answer;
  const auto state = store_->state();
  facts->has_head = state->head.has_value();
  if (!facts->has_head) return;
  facts->valid_until = state->head->valid_until;
  facts->head_time = state->head->time;
  node->accepted_head = ToString(state->head->order);
  node->snapshot = state->head->snapshot;
}

void NodeAgent::LookAtNode() {
  OpenGateway();
  if (secrets_.Reload()) {
    if (store_ != nullptr) store_->Redeliver();
    if (cluster_ != nullptr) OnCluster(*cluster_->state());
  }
  NodeFacts facts = ReadKernelFacts(config_.state_directory);
  facts.synced = controller_->Synced();
  {
    MutexLock lock(&mu_);
    facts.status_refused = status_refused_;
  }
  facts.build_time = BuildTime();
  NodeStatus node;
  DescribeSources(&facts, &node);
  if (checks_.empty() || clock_.Now() - checked_at_ >= kRuntimeCheckHolds) {
    for (const auto& [kind, runtime] : runtimes_.all) checks_[kind] = runtime->Check(Deadline::After(kRuntimeCheck));
    checked_at_ = clock_.Now();
  }
  for (const auto& [kind, check] : checks_) {
    if (check.available) node.runtimes.emplace_back(ToString(kind));
  }
  facts.runtimes = checks_;
  node.capacity = {.cpus = facts.cpus, .memory_bytes = facts.memory_total_bytes, .disk_bytes = facts.disk_total_bytes};
  facts.gateway_wanted = gateway_->wanted();
  facts.gateway_problem = gateway_->problem();
  facts.certificate_problem = gateway_->certificate_problem();
  facts.tunnel = tunnel_->NodeCondition();
  metrics_.SetTunnel(tunnel_->up(), tunnel_->hostnames(), tunnel_->restarts());
  if (logs_ != nullptr) logs_->Describe(&facts);
  conditions_ = NodeConditions(facts, std::move(conditions_), clock_.Wall());
  node.conditions = conditions_;
  publisher_->SetNode(node);
  {
    MutexLock lock(&mu_);
    TellDashboard();
  }
  if (cluster_ != nullptr) {
    node.boot_id = boot_id_;
    node.version = Version();
    cluster_->SetNode(node);
  }
}

void NodeAgent::RunNode() {
  Duration pause = std::chrono::seconds(1);  // until everything was looked at once
  for (;;) {
    // What this look saw, not what is so by now: else Starting would stand in the status until the next one.
    LookAtNode();
    if (!IsStarting(conditions_)) {
      pause = kNodeLook;
      memory_.Tend(ResidentBytes());
    }
    MutexLock lock(&mu_);
    const Deadline next = Deadline::After(pause);
    while (!stopping_ && !look_ && wake_.WaitUntil(&mu_, next)) {
    }
    if (stopping_) return;
    look_ = false;
  }
}

void NodeAgent::Stop() {
  if (!std::exchange(started_, false)) return;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  node_thread_.join();
  tunnel_->Stop();      // so does cloudflared, which finds the next gateway at the same path
  gateway_->Close();    // sessions go on with the next mcplet
  prober_->Shutdown();  // calls under way for people fail, so that the admin server need not wait for them
  admin_.reset();
  usage_->Stop();  // it tells the dashboard and the store
  dashboard_.reset();
  if (store_ != nullptr) store_->Stop();
  if (cluster_ != nullptr) {
    events_.Unsubscribe(cluster_events_);
    cluster_->Stop();
  }
  controller_->Stop();
  if (logs_ != nullptr) logs_->Stop();
  publisher_->Stop();
  notebook_->Stop();
  artifacts_->Stop();
}

Status NodeAgent::Drain(Deadline deadline) {
  // The cached state says how long each server may take to end.
  if (store_ != nullptr) desired_.Update(*store_->state());
  if (cluster_ != nullptr) desired_.UpdateCluster(*cluster_->state());
  if (logs_ != nullptr) logs_->Start();  // the last lines of what is removed
  controller_->Start(4, true);
  Status drained = controller_->Drain(deadline);
  controller_->Stop();
  if (const Status ended = tunnel_->Drain(deadline); drained.ok()) drained = ended;
  if (logs_ != nullptr) logs_->Stop();
  return drained;
}

std::string NodeAgent::admin_address() const { return admin_ == nullptr ? "" : admin_->address(); }

}  // namespace

StatusOr<std::unique_ptr<Agent>> Agent::Create(const Config& config, const Clock& clock) {
  auto agent = std::make_unique<NodeAgent>(config, clock);
  RETURN_IF_ERROR(agent->Open());
  return std::unique_ptr<Agent>(std::move(agent));
}

}  // namespace mcpfleet
