#include "edge-runtime/logship/log_shipper.h"

#include <algorithm>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::logship {
namespace {

constexpr Duration kAskTimeout = std::chrono::seconds(10), kAskAgain = std::chrono::hours(1);
constexpr Duration kLastLook = std::chrono::seconds(2), kLastUpload = std::chrono::seconds(3);
constexpr Duration kLossShown = std::chrono::hours(1);
// A store that is away for a moment is no news.
constexpr Duration kLagShown = std::chrono::minutes(15);

int64_t Nanoseconds(WallTime time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

}  // namespace

LogShipper::LogShipper(ShipperOptions options, ShipperDeps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      loss_(deps_.metrics, deps_.event, deps_.clock),
      live_(deps_.live) {}

StatusOr<std::unique_ptr<LogShipper>> LogShipper::Open(ShipperOptions options, ShipperDeps deps) {
  std::unique_ptr<LogShipper> shipper(new LogShipper(std::move(options), std::move(deps)));
  const ShipperOptions& o = shipper->options_;
  RETURN_IF_ERROR(MakeDirectories(o.directory, 0700));
  const std::string cursor_path = o.directory + "/cursor";
  StatusOr<Cursor> cursor = LoadCursor(cursor_path);
  if (!cursor.ok() && cursor.status().code() != StatusCode::kNotFound) {
    // What is in the spool is whole and goes out. What comes next begins with the oldest lines there are: some are in
    // the store twice then, and none is lost.
    LOG_ERROR("the cursor of log shipping can't be read; logs are read from their beginning",
              {{"error", cursor.status()}});
  }
  shipper->had_cursor_ = cursor.ok();
  // Without a cursor a chunk that does not count can't be told from one that does.
  const uint64_t counts = cursor.ok()                                       ? cursor->counts
                          : cursor.status().code() == StatusCode::kNotFound ? 0
                                                                            : UINT64_MAX;
  ASSIGN_OR_RETURN(shipper->spool_, Spool::Open(o.directory + "/spool", counts));
  shipper->collector_ = std::make_unique<LogCollector>(
      CollectorOptions{
          .cursor_path = cursor_path, .boot_id = o.boot_id, .spool_quota = o.spool_quota, .interval = o.interval},
      CollectorDeps{shipper->deps_.tails, *shipper->spool_, shipper->live_, shipper->loss_, shipper->deps_.clock},
      cursor.ok() ? *std::move(cursor) : Cursor{}, !shipper->had_cursor_);
  shipper->uploader_ = std::make_unique<LogUploader>(*shipper->spool_, shipper->deps_.store, shipper->deps_.metrics,
                                                     shipper->loss_, shipper->deps_.clock, o.seed);
  return shipper;
}

LogShipper::~LogShipper() { Stop(); }

void LogShipper::Start() {
  {
    MutexLock lock(&mu_);
    if (std::exchange(started_, true)) return;
    // It took logs before: they are read on also while it can't be asked.
    if (had_cursor_) phase_ = ShipperState::Phase::kOn;
  }
  thread_ = std::thread([this] { Run(); });
}

void LogShipper::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
    finished_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void LogShipper::SetInstances(RuntimeKind runtime, std::vector<InstanceReport> instances) {
  MutexLock lock(&mu_);
  news_[runtime] = {.all = std::move(instances), .single = {}};
  woken_ = true;
  wake_.NotifyAll();
}

void LogShipper::SetInstance(RuntimeKind runtime, const std::string& id, std::optional<InstanceReport> instance) {
  MutexLock lock(&mu_);
  news_[runtime].single[id] = std::move(instance);
  woken_ = true;
  wake_.NotifyAll();
}

void LogShipper::Finish(const std::string& instance, Deadline deadline) {
  MutexLock lock(&mu_);
  if (!started_ || stopping_ || phase_ != ShipperState::Phase::kOn) return;
  const uint64_t ticket = ++tickets_;
  finishing_.push_back({instance, deadline, ticket});
  wake_.NotifyAll();
  while (done_ < ticket && !stopping_) {
    if (!finished_.WaitUntil(&mu_, deadline)) return;
  }
}

void LogShipper::Hurry() {
  MutexLock lock(&mu_);
  hurry_ = woken_ = true;
  wake_.NotifyAll();
}

void LogShipper::SetFollowed(std::vector<ServerKey> servers) {
  live_.SetFollowed(std::move(servers));
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

ShipperState LogShipper::state() const {
  ShipperState state;
  {
    MutexLock lock(&mu_);
    state.phase = phase_;
  }
  const MonoTime lost_at = loss_.last_at();
  if (lost_at != MonoTime{} && deps_.clock.Now() - lost_at < kLossShown) state.loss = loss_.last();
  const std::optional<int64_t> oldest = spool_->oldest_line();
  const bool late =
      oldest && Nanoseconds(deps_.clock.Wall()) - *oldest > Duration(options_.interval + kLagShown).count();
  if (late) state.failure = uploader_->failure();
  return state;
}

bool LogShipper::AwaitStore() {
  for (int failures = 0;;) {
    {
      MutexLock lock(&mu_);
      if (stopping_) return false;
      if (phase_ == ShipperState::Phase::kOn) return true;
    }
    const StatusOr<bool> takes = deps_.store.Takes(Deadline::After(kAskTimeout));
    failures = takes.ok() ? 0 : failures + 1;
    MutexLock lock(&mu_);
    if (takes.ok()) phase_ = *takes ? ShipperState::Phase::kOn : ShipperState::Phase::kOff;
    if (takes.ok() && *takes) {
      LOG_INFO("the store takes logs: they are shipped");
      return true;
    }
    const Deadline again = Deadline::After(takes.ok() ? kAskAgain : RetryDelay(failures, Duration::zero(), 0.5));
    while (!stopping_ && wake_.WaitUntil(&mu_, again)) {
    }
  }
}

void LogShipper::TakeRequests(std::vector<Finishing>* finishing, bool* stopping) {
  std::map<RuntimeKind, News> news;
  bool hurry = false;
  {
    MutexLock lock(&mu_);
    news.swap(news_);
    finishing->swap(finishing_);
    woken_ = false;
    hurry = std::exchange(hurry_, false);
    *stopping = stopping_;
  }
  if (hurry) collector_->Hurry();
  for (const auto& [runtime, what] : news) {
    if (what.all) collector_->SetInstances(runtime, *what.all);
    for (const auto& [id, instance] : what.single) collector_->SetInstance(runtime, id, instance);
  }
}

void LogShipper::Report(bool sealed) {
  if (sealed) uploader_->Wake();
  std::optional<int64_t> oldest = spool_->oldest_line();
  if (!oldest && collector_->oldest_line() != 0) oldest = collector_->oldest_line();
  const int64_t lag = oldest ? std::max<int64_t>(0, Nanoseconds(deps_.clock.Wall()) - *oldest) : 0;
  deps_.metrics.LogSpool(spool_->chunks(), spool_->bytes(), Duration(lag));
}

void LogShipper::Run() {
  if (!AwaitStore()) return;
  uploader_->Start();
  Duration pause = kLeastPause;
  for (;;) {
    std::vector<Finishing> finishing;
    bool stopping = false;
    TakeRequests(&finishing, &stopping);
    const int64_t before = spool_->chunks();
    for (const Finishing& each : finishing) {
      collector_->Finish(each.instance, each.deadline);
      MutexLock lock(&mu_);
      done_ = std::max(done_, each.ticket);
      finished_.NotifyAll();
    }
    LogCollector::Looked looked = collector_->Look();
    for (const Deadline last = Deadline::After(kLastLook); stopping && looked.more && !last.Expired();)
      looked = collector_->Look();
    if (stopping || collector_->SealDue() <= deps_.clock.Now()) (void)collector_->Seal();
    Report(spool_->chunks() != before || spool_->chunks() > 0);
    if (stopping) break;
    pause = NextPause(pause, looked.bytes);
    if (looked.more) continue;
    MutexLock lock(&mu_);
    const Deadline next = Deadline::After(pause);
    while (!stopping_ && !woken_ && finishing_.empty() && wake_.WaitUntil(&mu_, next)) {
    }
  }
  uploader_->Stop(Deadline::After(kLastUpload));
}

}  // namespace mcpfleet::logship
