#include "edge-runtime/mcplet/store_link.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "edge-runtime/mcplet/node_conditions.h"
#include "store/counted_kv.h"
#include "store/worker_api.h"

namespace mcpfleet {
namespace {
constexpr int64_t kDesiredCacheQuota = int64_t{512} << 20;
constexpr Duration kRotateTimeout = std::chrono::seconds(10);
constexpr Duration kRotatePause = std::chrono::minutes(1);  // between two tries, whoever asks how often

// The store's nonce as it was kept last; "" when there is none that could be one.
std::string LoadNonce(const std::string& path) {
  const StatusOr<std::string> kept = ReadFile(path, 2 * kNonceBytes);
  const std::string nonce(kept.ok() ? Trim(*kept) : "");
  return nonce.size() <= kNonceBytes ? nonce : "";
}

}  // namespace

StoreLink::StoreLink(const Config& config, const Clock& clock, StoreCallbacks callbacks)
    : config_(config), clock_(clock), callbacks_(std::move(callbacks)) {}

StoreLink::~StoreLink() { Stop(); }

Status StoreLink::OpenEmbedded() {
  const std::string directory = config_.StoreDirectory();
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN(embedded_, EmbeddedKv::Open(directory + "/kv.sqlite", clock_));
  ASSIGN_OR_RETURN(std::string operator_token, LoadOrCreateToken(directory + "/operator-token"));
  operator_hash_ = Sha256Hex(operator_token);
  ASSIGN_OR_RETURN(std::string reader_token, LoadOrCreateToken(directory + "/reader-token"));
  ASSIGN_OR_RETURN(server_, KvServer::Create(*embedded_, {.address = config_.store.address,
                                                          .port = config_.store.port,
                                                          .tokens = {{Sha256Hex(operator_token), StoreRole::kOperator},
                                                                     {Sha256Hex(reader_token), StoreRole::kReader}}}));
  config_kv_ = CountRequests(embedded_->Client(kConfigNamespace), callbacks_.on_request);
  status_kv_ = CountRequests(embedded_->Client(kServerStateNamespace), callbacks_.on_request);
  // This mcplet watches its own store like any other node does; a token of its own never leaves the process.
  watch_url_ = "http://" + config_.store.address + ":" + std::to_string(server_->port());
  ASSIGN_OR_RETURN(tokens_, TokenSource::Fixed(reader_token));
  return OkStatus();
}

bool StoreLink::IsOperator(std::string_view token) const {
  return !operator_hash_.empty() && EqualsInConstantTime(Sha256Hex(token), operator_hash_);
}

Status StoreLink::OpenRemote(uint64_t seed) {
  ASSIGN_OR_RETURN(tokens_, config_.store.token_file.empty() ? TokenSource::Fixed("")
                                                             : TokenSource::OfFile(config_.store.token_file));
  const RestOptions options{.base_url = config_.store.url,
                            .tokens = tokens_,
                            .proxy = config_.store.proxy,
                            .ca_file = config_.store.ca_file,
                            .max_attempts = 2,  // the sync loop itself tries again
                            .jitter_seed = seed,
                            .on_request = callbacks_.on_request};
  const std::string& account = config_.store.account;
  ASSIGN_OR_RETURN(config_kv_, NewRestKvClient(options, {.id = config_.store.config_namespace, .account = account}));
  ASSIGN_OR_RETURN(status_kv_, NewRestKvClient(options, {.id = config_.store.state_namespace, .account = account}));
  watch_url_ = config_.store.url;
  return OkStatus();
}

StatusOr<std::unique_ptr<WorkerApi>> StoreLink::ConnectWorker() const {
  return WorkerApi::Create({.base_url = config_.store.url,
                            .tokens = tokens_,
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
  if (const Status watch = link->OpenWatch(seed); !watch.ok()) {
    LOG_WARNING("no push from the store, polling only", {{"error", watch}});
  }
  return link;
}

Status StoreLink::OpenWatch(uint64_t seed) {
  const std::string nonce_file = config_.state_directory + "/nonce";
  WatchOptions options{.base_url = watch_url_,
                       .tokens = tokens_,
                       .proxy = config_.store.proxy,
                       .ca_file = config_.store.ca_file,
                       .node = config_.node,
                       .nonce = LoadNonce(nonce_file),
                       .jitter_seed = seed};
  WatchCallbacks callbacks{
      .on_head =
          [this](std::string_view head) {
            sync_->Offer(head);
            Wake();
          },
      .on_change = [this](bool connected) { OnWatchChange(connected); },
      .on_values = [this](const std::vector<std::string>& values) { sync_->OfferValues(values); },
      .on_hints =
          [this](const WatchHints& hints) {
            hints_ = hints;
            sync_->SetPolling(hints.poll_connected * 9 / 10, hints.poll_connected * 11 / 10);
            Wake();
          },
      .on_down =
          [this](const DownList& list) {
            sync_->SetDown(list);
            Wake();
            if (callbacks_.on_down) callbacks_.on_down(list);
          },
      .on_follow = callbacks_.on_follow,
      .on_measure = callbacks_.on_measure,
      .on_nonce =
          [nonce_file](std::string_view nonce) { return WriteFileAtomically(nonce_file, std::string(nonce) + "\n"); },
      .on_alive = callbacks_.on_alive,
      .on_rotate = [this] { OnRotate(); },
      .on_status_stored = callbacks_.on_status_stored,
      .on_error =
          [this](std::string_view) {
            if (callbacks_.on_status_lost) callbacks_.on_status_lost();
          },
      .on_unreadable =
          [this](const Status& why) {
            LOG_WARNING("the store pushed what can't be read; it is ignored", {{"error", why}});
            sync_->CountBadAnswer(Annotate(why, "pushed"));
            counted_ = true;
            Wake();
          }};
  ASSIGN_OR_RETURN(watch_, WatchClient::Create(std::move(options), std::move(callbacks)));
  return OkStatus();
}

void StoreLink::Start() {
  thread_ = std::thread([this] { Run(); });
  if (watch_ != nullptr) watch_->Start();
}

void StoreLink::OnWatchChange(bool connected) {
  sync_->SetConnected(connected);
  if (!connected && hints_) sync_->SetPolling(hints_->poll_unconnected_least, hints_->poll_unconnected_most);
  Wake();
  if (connected) return;
  if (callbacks_.on_status_lost) callbacks_.on_status_lost();
}

void StoreLink::Stop() {
  if (watch_ != nullptr) watch_->Stop();
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
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

MonoTime StoreLink::NextDue() const { return std::min(sync_->next_due(), rotate_at_); }

void StoreLink::OnRotate() {
  MutexLock lock(&mu_);
  rotate_at_ = std::max(clock_.Now(), rotated_at_ == MonoTime::min() ? MonoTime::min() : rotated_at_ + kRotatePause);
  woken_ = true;
  wake_.NotifyAll();
}

void StoreLink::RotateWhenDue() {
  {
    MutexLock lock(&mu_);
    if (clock_.Now() < rotate_at_) return;
    rotate_at_ = MonoTime::max();
    rotated_at_ = clock_.Now();
  }
  const Status rotated = Rotate();
  if (rotated.ok()) {
    LOG_INFO("this node has a new token");
    watch_->Reconnect();  // which ends the old one
    return;
  }
  LOG_WARNING("no new token for this node; the one it has goes on", {{"error", rotated}});
  if (!IsRetryable(rotated)) return;
  MutexLock lock(&mu_);
  rotate_at_ = std::min(rotate_at_, rotated_at_ + kRotatePause);
}

Status StoreLink::Rotate() {
  if (tokens_->path().empty())
    return FailedPrecondition("spec.store.tokenFile is not set: there is nowhere to keep it");
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkerApi> api, ConnectWorker());
  ASSIGN_OR_RETURN(WorkerAnswer answer,
                   api->Send("POST", "/v1/device/token", nullptr, Deadline::After(kRotateTimeout)));
  return tokens_->Replace(GetString(answer.result, "token"));
}

std::string StoreLink::trouble() const {
  MutexLock lock(&mu_);
  return trouble_;
}

void StoreLink::Run() {
  std::shared_ptr<const AcceptedState> delivered;
  for (;;) {
    auto state = sync_->state();
    const bool again = redeliver_.exchange(false);
    if ((again || state != delivered) && callbacks_.on_state) callbacks_.on_state(*state);
    delivered = state;
    {
      MutexLock lock(&mu_);
      MonoTime due = NextDue();
      while (!stopping_ && !woken_ && clock_.Now() < due) wake_.WaitUntil(&mu_, Deadline::After(due - clock_.Now()));
      if (stopping_) return;
      woken_ = false;
    }
    RotateWhenDue();
    if (counted_.exchange(false) && callbacks_.on_count) callbacks_.on_count(sync_->stats());
    // A step without anything to do would say that the store answers.
    if (const MonoTime due = sync_->next_due(); due > clock_.Now()) continue;
    Status step = sync_->Step();
    std::string failure = step.ok() ? "" : Message(step), before;
    {
      MutexLock lock(&mu_);
      before = std::exchange(trouble_, failure);
    }
    reachable_ = step.ok();
    if (failure != before) {
      if (step.ok()) {
        LOG_INFO("the store answers again");
      } else {
        LOG_WARNING("the store could not be read; what runs goes on", {{"error", step}});
      }
    }
    if (callbacks_.on_step) callbacks_.on_step(step, sync_->stats());
  }
}

}  // namespace mcpfleet
