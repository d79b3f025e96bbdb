#include "edge-runtime/mcplet/store_link.h"

#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "edge-runtime/mcplet/node_conditions.h"
#include "store/counted_kv.h"

namespace mcpfleet {
namespace {
constexpr int64_t kDesiredCacheQuota = int64_t{512} << 20;
constexpr size_t kTokenBytes = 4096;
}  // namespace

StoreLink::StoreLink(const Config& config, const Clock& clock, StoreCallbacks callbacks)
    : config_(config), clock_(clock), callbacks_(std::move(callbacks)) {}

StoreLink::~StoreLink() { Stop(); }

Status StoreLink::OpenEmbedded() {
  const std::string directory = config_.StoreDirectory();
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN(embedded_, EmbeddedKv::Open(directory + "/kv.sqlite", clock_));
  ASSIGN_OR_RETURN(std::string operator_token, LoadOrCreateToken(directory + "/operator-token"));
  ASSIGN_OR_RETURN(std::string reader_token, LoadOrCreateToken(directory + "/reader-token"));
  ASSIGN_OR_RETURN(server_, KvServer::Create(*embedded_, {.address = config_.store.address,
                                                          .port = config_.store.port,
                                                          .tokens = {{Sha256Hex(operator_token), StoreRole::kOperator},
                                                                     {Sha256Hex(reader_token), StoreRole::kReader}}}));
  config_kv_ = CountRequests(embedded_->Client(kConfigNamespace), callbacks_.on_request);
  status_kv_ = CountRequests(embedded_->Client(kServerStateNamespace), callbacks_.on_request);
  // This mcplet watches its own store like any other node does; a token of its own never leaves the process.
  watch_url_ = "http://" + config_.store.address + ":" + std::to_string(server_->port());
  token_ = reader_token;
  return OkStatus();
}

Status StoreLink::OpenRemote(uint64_t seed) {
  if (!config_.store.token_file.empty()) {
    ASSIGN_OR_RETURN(std::string content, ReadFile(config_.store.token_file, kTokenBytes));
    token_ = std::string(Trim(content));
  }
  RestKvOptions options{.base_url = config_.store.url,
                        .account = config_.store.account,
                        .namespace_id = config_.store.config_namespace,
                        .token = token_,
                        .proxy = config_.store.proxy,
                        .ca_file = config_.store.ca_file,
                        .max_attempts = 2,  // the sync loop itself tries again
                        .jitter_seed = seed,
                        .on_request = callbacks_.on_request};
  ASSIGN_OR_RETURN(config_kv_, NewRestKvClient(options));
  options.namespace_id = config_.store.state_namespace;
  ASSIGN_OR_RETURN(status_kv_, NewRestKvClient(options));
  watch_url_ = config_.store.url;
  return OkStatus();
}

StatusOr<std::unique_ptr<WorkerApi>> StoreLink::ConnectWorker() const {
  std::string token = token_;
  if (!config_.store.token_file.empty()) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(config_.store.token_file, kTokenBytes));
    token = std::string(Trim(content));
  }
  return WorkerApi::Create({.base_url = config_.store.url,
                            .token = std::move(token),
                            .proxy = config_.store.proxy,
                            .ca_file = config_.store.ca_file,
                            .max_attempts = 1,  // who calls knows when to try again
                            .on_request = callbacks_.on_request});
}

StatusOr<DownList> StoreLink::ReadDown(Deadline deadline) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkerApi> worker, ConnectWorker());
  ASSIGN_OR_RETURN(const WorkerAnswer answer, worker->Get("/v1/down", deadline));
  return ParseDownList(answer.result);
}

StatusOr<std::unique_ptr<StoreLink>> StoreLink::Open(const Config& config, const Clock& clock, uint64_t seed,
                                                     StoreCallbacks callbacks) {
  std::unique_ptr<StoreLink> link(new StoreLink(config, clock, std::move(callbacks)));
  RETURN_IF_ERROR(Annotate(config.store.embedded ? link->OpenEmbedded() : link->OpenRemote(seed), "store"));
  ASSIGN_OR_RETURN(link->cache_, LocalCache::Open(config.state_directory + "/desired", kDesiredCacheQuota));
  std::function<StatusOr<DownList>(Deadline)> read_down;
  if (!config.store.embedded) read_down = [raw = link.get()](Deadline deadline) { return raw->ReadDown(deadline); };
  link->sync_ =
      std::make_unique<HeadSync>(*link->config_kv_, *link->cache_, clock, seed,
                                 HeadSyncOptions{.node = config.node,
                                                 .poll_interval = config.store.poll_interval,
                                                 .fleet = config.store.fleet,
                                                 .trust_root = config.store.trust_root,
                                                 .minimum = config.store.minimum_head,
                                                 .now = [&clock] { return TrustedTime(clock.Wall(), BuildTime(), ""); },
                                                 .read_down = std::move(read_down)});
  RETURN_IF_ERROR(Annotate(link->sync_->Boot(), "cached state"));
  return link;
}

void StoreLink::Start() {
  thread_ = std::thread([this] { Run(); });
  auto watch = WatchClient::Create(
      {.base_url = watch_url_, .token = token_, .proxy = config_.store.proxy, .ca_file = config_.store.ca_file},
      [this](std::string_view head) {
        sync_->Offer(head);
        Wake();
      },
      [this](bool connected) { SetConnected(connected); });
  if (watch.ok()) {
    watch_ = *std::move(watch);
  } else {
    LOG_WARNING("no push from the store, polling only", {{"error", watch.status()}});
  }
}

void StoreLink::Stop() {
  watch_.reset();
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void StoreLink::SetDown(const DownList& list) {
  sync_->SetDown(list);
  Wake();
}

void StoreLink::SetConnected(bool connected) {
  sync_->SetConnected(connected);
  Wake();
}

void StoreLink::Redeliver() {
  redeliver_ = true;
  Wake();
}

void StoreLink::Wake() {
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

void StoreLink::Run() {
  std::shared_ptr<const AcceptedState> delivered;
  std::string last_failure;
  for (;;) {
    auto state = sync_->state();
    const bool again = redeliver_.exchange(false);
    if ((again || state != delivered) && callbacks_.on_state) callbacks_.on_state(*state);
    delivered = state;
    {
      MutexLock lock(&mu_);
      MonoTime due = sync_->next_due();
      while (!stopping_ && !woken_ && clock_.Now() < due) wake_.WaitUntil(&mu_, Deadline::After(due - clock_.Now()));
      if (stopping_) return;
      woken_ = false;
    }
    Status step = sync_->Step();
    reachable_ = step.ok();
    std::string failure = step.ok() ? "" : Message(step);
    if (failure != last_failure) {
      if (step.ok()) {
        LOG_INFO("the store answers again");
      } else {
        LOG_WARNING("the store could not be read; what runs goes on", {{"error", step}});
      }
      last_failure = failure;
    }
    if (callbacks_.on_step) callbacks_.on_step(step, sync_->stats());
  }
}

}  // namespace mcpfleet
