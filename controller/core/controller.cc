#include "controller/core/controller.h"

#include <algorithm>

#include "base/log.h"
#include "controller/core/client_target.h"
#include "controller/core/garbage_collector.h"
#include "controller/core/instance_cache.h"
#include "controller/core/server_reconciler.h"
#include "controller/core/work_queue.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kListTimeout = seconds(20);
constexpr Duration kListRetryFirst = milliseconds(500);
// Event streams are renewed now and then, and after they break with a back-off.
constexpr Duration kWatchTimeout = std::chrono::minutes(10);
constexpr Duration kWatchRetryFirst = seconds(1), kWatchRetryLast = seconds(30);

// Instances of a runtime that something happened to. A few are looked at one by one, more are one list.
struct Hint {
  void Add(uint64_t mark, const std::string& instance) {
    since = mark;
    if (instance.empty()) all = true;
    if (!all) instances.insert(instance);
    all = all || instances.size() > kLooks;
  }
  static constexpr size_t kLooks = 8;
  uint64_t since = 0;  // of the last of them; what is known from before it is too old
  bool all = false;
  std::set<std::string> instances;
};

}  // namespace

class Controller::Impl {
 public:
  Impl(const ControllerDeps& deps, const ControllerOptions& options)
      : deps_(deps),
        options_(options),
        cache_(deps.runtimes, deps.clock, deps.metrics),
        queue_(deps.clock, deps.metrics, deps.seed),
        pulls_(options.pull_threads),
        probes_(options.probe_threads),
        reconciler_({deps_, options_, cache_, pulls_, probes_, deps.clock.Now(),
                     [this](const ServerKey& key, Outcome outcome) { Post(key, std::move(outcome)); },
                     [this](const ServerKey& key, const ServerView* view) { Publish(key, view); },
                     [this](const ServerKey& key, const std::string& digest) { Uses(key, digest); },
                     [this] { return draining_.load(); }},
                    deps.seed + 1),
        relist_at_(deps.clock.Now()),
        collect_at_(deps.clock.Now() + options.collect_period) {
    deps_.sessions.SetListener([this](const std::string& instance) { SessionChanged(instance); });
    deps_.prober.SetCatalogListener([this](const ServerKey& key) { CatalogSaidToChange(key); });
    if (deps_.traffic != nullptr) deps_.traffic->SetListener([this](const ServerKey& key) { queue_.Add(key); });
  }

  ~Impl() { Stop(); }

  void Start(int workers, bool draining) {
    draining_ = draining;
    threads_.emplace_back([this] { HousekeeperLoop(); });
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { WorkerLoop(); });
    for (auto& [kind, runtime] : deps_.runtimes) {
      threads_.emplace_back([this, kind = kind, runtime = runtime] { WatchLoop(kind, runtime); });
    }
  }

  void Stop() {
    if (stopping_.exchange(true)) return;
    stop_.request_stop();
    deps_.sessions.SetListener(nullptr);
    deps_.prober.SetCatalogListener(nullptr);
    if (deps_.traffic != nullptr) deps_.traffic->SetListener(nullptr);
    queue_.ShutDown();
    {
      MutexLock lock(&mu_);
      wake_cv_.NotifyAll();
      stop_cv_.NotifyAll();
      reconciled_cv_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    pulls_.Stop();
    probes_.Stop();
  }

  Status Drain(Deadline deadline) {
    draining_ = true;
    std::set<ServerKey> servers = cache_.Servers();
    {
      MutexLock lock(&mu_);
      for (const auto& [key, record] : records_) servers.insert(key);
    }
    for (const ServerKey& key : servers) queue_.Add(key);
    while (true) {
      // Before every runtime was asked once an empty list says nothing.
      const bool asked = cache_.AllAsked();
      const std::vector<InstanceReport> left = cache_.All();
      if (asked && left.empty()) return OkStatus();
      if (deadline.Expired() || stopping_) {
        if (left.empty()) return DeadlineExceeded("the runtimes have not told yet what runs");
        return DeadlineExceeded(std::to_string(left.size()) + " instances are left, the first is " + left.front().id);
      }
      if (threads_.empty()) {
        if (!RunOne())
          return Unavailable("nothing is due, but left: " + (left.empty() ? "runtimes to ask" : left.front().id));
        continue;
      }
      MutexLock lock(&mu_);
      reconciled_cv_.WaitUntil(&mu_, deadline.AtMost(milliseconds(100)));
    }
  }

  bool RunOne() {
    if (HousekeepingDue() <= deps_.clock.Now()) {
      Housekeep();
      return true;
    }
    std::optional<ServerKey> key = queue_.TryGet();
    if (!key) return false;
    Work(*key);
    return true;
  }

  MonoTime NextDue() const { return std::min(HousekeepingDue(), queue_.NextDue()); }

  void Trigger(const ServerKey& key) { queue_.Add(key); }

  void NotifyRuntimeEvent(RuntimeKind runtime, const std::string& instance) {
    if (cache_.IsOwnChange(instance)) return;
    const uint64_t mark = cache_.Mark();
    MutexLock lock(&mu_);
    events_[runtime].Add(mark, instance);
    // Engines report in bursts: one look after the burst began, however long it goes on.
    events_due_ = std::min(events_due_, deps_.clock.Now() + options_.event_debounce);
    wake_cv_.NotifyOne();
  }

  void NotifyDesiredChanged() {
    MutexLock lock(&mu_);
    desired_changed_ = true;
    wake_cv_.NotifyOne();
  }

  std::optional<ServerView> ViewOf(const ServerKey& key) const {
    MutexLock lock(&mu_);
    auto it = views_.find(key);
    if (it == views_.end()) return std::nullopt;
    return it->second;
  }

  std::vector<ServerStatus> Statuses() const {
    MutexLock lock(&mu_);
    std::vector<ServerStatus> out;
    for (const auto& [key, view] : views_) out.push_back(view.status);
    return out;
  }

  StatusOr<ProbeTarget> TargetOf(const ServerKey& key) const {
    std::optional<ServerView> view = ViewOf(key);
    if (!view) return NotFound("no server " + ToString(key) + " on this node");
    if (!view->target) {
      const Condition* ready = FindCondition(view->status.conditions, "Ready");
      return Unavailable(ToString(key) + " does not run now" + (ready != nullptr ? ": " + ready->reason : ""));
    }
    ProbeTarget target = *view->target;
    if (target.transport == Transport::kStdio) {
      target.stdio = deps_.sessions.MainChannel(target.instance);
      if (target.stdio == nullptr) return Unavailable(ToString(key) + " does not run now");
    }
    return target;
  }

  bool Synced() const {
    MutexLock lock(&mu_);
    if (!swept_ || !cache_.AllAsked()) return false;
    return std::all_of(last_desired_->servers.begin(), last_desired_->servers.end(),
                       [this](const auto& entry) NO_THREAD_SAFETY_ANALYSIS { return views_.contains(entry.first); });
  }

 private:
  // One of them waiting says it all: a server that chatters must not fill the inbox.
  void CatalogSaidToChange(const ServerKey& key) {
    {
      MutexLock lock(&mu_);
      std::vector<Outcome>& inbox = inbox_[key];
      if (!inbox.empty() && std::holds_alternative<CatalogChanged>(inbox.back())) return;
      inbox.push_back(CatalogChanged{});
    }
    queue_.Add(key);
  }

  void Post(const ServerKey& key, Outcome outcome) {
    {
      MutexLock lock(&mu_);
      inbox_[key].push_back(std::move(outcome));
    }
    queue_.Add(key);
  }

  void Publish(const ServerKey& key, const ServerView* view) {
    bool changed = true;
    {
      MutexLock lock(&mu_);
      const auto before = views_.find(key);
      const std::optional<ClientTarget> now = view == nullptr ? std::nullopt : view->client;
      changed = !SameTarget(before == views_.end() ? std::nullopt : before->second.client, now);
      if (view == nullptr) {
        views_.erase(key);
      } else {
        views_[key] = *view;
      }
    }
    if (changed && deps_.gateway != nullptr) deps_.gateway->ServerChanged(key);
  }

  // From the one worker that has the key.
  void Uses(const ServerKey& key, const std::string& digest) {
    bool known = true;
    {
      MutexLock lock(&mu_);
      known = artifacts_.Knows(key);
    }
    const std::string noted = known || deps_.artifacts == nullptr ? "" : deps_.artifacts->Read(key);
    std::string text;
    {
      MutexLock lock(&mu_);
      text = artifacts_.Note(key, digest, noted);
    }
    if (!text.empty() && deps_.artifacts != nullptr) deps_.artifacts->Write(key, std::move(text));
  }

  void SessionChanged(const std::string& instance) {
    if (std::optional<ServerKey> key = cache_.OwnerOf(instance)) queue_.Add(*key);
  }

  void WorkerLoop() {
    while (!stopping_) {
      if (std::optional<ServerKey> key = queue_.Get(Deadline::After(seconds(60)))) Work(*key);
    }
  }

  void Work(const ServerKey& key) {
    ServerRecord* record = nullptr;
    std::vector<Outcome> inbox;
    {
      MutexLock lock(&mu_);
      if (!swept_) {
        // Nothing is decided before every runtime was asked; the first sweep triggers all.
        queue_.Done(key);
        return;
      }
      std::unique_ptr<ServerRecord>& slot = records_[key];
      if (slot == nullptr) slot = std::make_unique<ServerRecord>();
      record = slot.get();
      auto it = inbox_.find(key);
      if (it != inbox_.end()) {
        inbox = std::move(it->second);
        inbox_.erase(it);
      }
    }
    const MonoTime start = deps_.clock.Now();
    ReconcileResult result = reconciler_.Reconcile(key, record, inbox);
    deps_.metrics.ReconcileDone(key, result.status.ok(), deps_.clock.Now() - start);
    if (!result.status.ok()) {
      queue_.AddRateLimited(key, result.wake);
    } else {
      queue_.Forget(key);
      queue_.CancelTimer(key);
      if (result.wake != MonoTime::max()) queue_.AddAfter(key, result.wake - deps_.clock.Now());
    }
    if (result.gone && result.status.ok() && deps_.artifacts != nullptr) deps_.artifacts->Write(key, "");
    {
      MutexLock lock(&mu_);
      if (result.gone && result.status.ok()) {
        records_.erase(key);
        artifacts_.Drop(key);
      }
      reconciled_cv_.NotifyAll();
    }
    queue_.Done(key);
    SpreadLists();
  }

  MonoTime HousekeepingDue() const {
    MutexLock lock(&mu_);
    if (desired_changed_) return MonoTime{};
    return std::min({relist_at_, events_due_, collect_at_});
  }

  void HousekeeperLoop() {
    while (!stopping_) {
      {
        MutexLock lock(&mu_);
        while (!stopping_ && !desired_changed_) {
          const MonoTime due = std::min({relist_at_, events_due_, collect_at_});
          const Duration left = due - deps_.clock.Now();
          if (left <= Duration::zero()) break;
          wake_cv_.WaitUntil(&mu_, Deadline::After(left));
        }
      }
      if (!stopping_) Housekeep();
    }
  }

  void Housekeep() {
    std::map<RuntimeKind, Hint> hints;
    bool desired_changed = false, collect = false, relist = false;
    {
      MutexLock lock(&mu_);
      const MonoTime now = deps_.clock.Now();
      desired_changed = std::exchange(desired_changed_, false) || !swept_;
      if (events_due_ <= now) {
        hints.swap(events_);
        events_due_ = MonoTime::max();
      }
      if (relist_at_ <= now) {
        relist_at_ = now + options_.relist_period;
        relist = true;
      }
      if (collect_at_ <= now) {
        collect_at_ = now + options_.collect_period;
        collect = swept_;
      }
    }
    if (relist) {
      for (const auto& [kind, runtime] : deps_.runtimes) hints[kind].Add(cache_.Mark(), "");
    }
    for (const auto& [kind, hint] : hints) Follow(kind, hint);
    if (desired_changed) SpreadDesired();
    SpreadLists();
    if (collect) Collect();
  }

  void Follow(RuntimeKind kind, const Hint& hint) {
    const Deadline deadline = Deadline::After(kListTimeout);
    if (hint.all) return NoteHealth(kind, cache_.Refresh(kind, hint.since, deadline).ok());
    NoteHealth(kind, std::all_of(hint.instances.begin(), hint.instances.end(), [&](const std::string& instance) {
                 return cache_.Look(kind, instance, hint.since, deadline).ok();
               }));
  }

  // Triggers what the last lists changed, whoever asked for them.
  void SpreadLists() {
    for (const ServerKey& key : cache_.TakeChanged()) queue_.Add(key);
    for (RuntimeKind kind : cache_.TakeFlipped()) {
      const Status health = cache_.Health(kind);
      if (health.ok()) {
        LOG_INFO("runtime answers", {{"runtime", ToString(kind)}});
      } else {
        LOG_WARNING("runtime does not answer", {{"runtime", ToString(kind)}, {"error", health}});
      }
      // What can be said of every server that wants this runtime has changed: its spec's, or that of the revision that
      // it was taken back to. It happens seldom, so all are looked at.
      for (const auto& [key, server] : deps_.desired.Current()->servers) queue_.Add(key);
    }
  }

  // A runtime that does not answer is asked again soon, then less and less.
  void NoteHealth(RuntimeKind kind, bool ok) {
    const uint64_t mark = cache_.Mark();
    MutexLock lock(&mu_);
    if (ok) {
      list_failures_.erase(kind);
      return;
    }
    const Duration delay =
        std::min<Duration>(kListRetryFirst * (1 << std::min(list_failures_[kind]++, 10)), options_.relist_period);
    events_[kind].Add(mark, "");
    events_due_ = std::min(events_due_, deps_.clock.Now() + delay);
  }

  // Triggers the servers whose desired state differs from what it was at the last call; the first sweep, once every
  // runtime was asked, triggers all. It begins together with what is to be swept, or there would seem to be nothing.
  void SpreadDesired() {
    std::shared_ptr<const DesiredSnapshot> now = deps_.desired.Current();
    std::shared_ptr<const DesiredSnapshot> before;
    std::set<ServerKey> triggers;
    {
      MutexLock lock(&mu_);
      swept_ = swept_ || cache_.AllAsked();
      if (!swept_) return;
      before = std::exchange(last_desired_, now);
      // Removals that had to wait, and orphans of before our time.
      if (now->removals_allowed) {
        for (const auto& [key, record] : records_) {
          if (!now->servers.contains(key)) triggers.insert(key);
        }
      }
    }
    if (now->removals_allowed) {
      std::set<ServerKey> wanted;
      for (const auto& [key, server] : now->servers) wanted.insert(key);
      for (Notebook* notebook : {deps_.notebook, deps_.artifacts}) {
        if (notebook != nullptr) notebook->Retain(wanted);
      }
      for (const ServerKey& key : cache_.Servers()) {
        if (!now->servers.contains(key)) triggers.insert(key);
      }
    }
    for (const auto& [key, server] : now->servers) {
      auto it = before->servers.find(key);
      if (it == before->servers.end() || it->second != server) triggers.insert(key);
    }
    for (const auto& [key, server] : before->servers) {
      if (!now->servers.contains(key)) triggers.insert(key);
    }
    for (const ServerKey& key : triggers) queue_.Add(key);
  }

  void Collect() {
    std::vector<std::string> keep;
    std::vector<ServerKey> unknown;
    std::shared_ptr<const DesiredSnapshot> desired = deps_.desired.Current();
    {
      MutexLock lock(&mu_);
      for (const auto& [key, server] : desired->servers) {
        // Until every server's artifact is known nothing is known to be unused.
        const auto it = views_.find(key);
        const bool running = it != views_.end() && it->second.instance && !it->second.instance->artifact_digest.empty();
        if (!OnHold(*server) && !IsRemote(*server) && !artifacts_.Knows(key) && !running) return;
        if (!artifacts_.Knows(key)) unknown.push_back(key);
      }
      keep = artifacts_.Keep();
    }
    for (const ServerKey& key : unknown) {
      if (deps_.artifacts == nullptr) break;
      for (std::string& digest : ArtifactHistory::Parse(deps_.artifacts->Read(key))) keep.push_back(std::move(digest));
    }
    for (const InstanceReport& report : cache_.All()) keep.push_back(report.artifact_digest);
    (void)CollectGarbage(deps_.runtimes, keep, options_.artifact_quota_bytes, deps_.metrics, deps_.clock);
  }

  void WatchLoop(RuntimeKind kind, ContainerRuntime* runtime) {
    Duration retry = kWatchRetryFirst;
    while (!stopping_) {
      const MonoTime start = deps_.clock.Now();
      Status status = runtime->WatchEvents([this, kind](const std::string& id) { NotifyRuntimeEvent(kind, id); },
                                           stop_.get_token(), Deadline::After(kWatchTimeout));
      if (stopping_) return;
      // What happened between two streams shows in a list.
      NotifyRuntimeEvent(kind, "");
      if (status.ok() || status.code() == StatusCode::kDeadlineExceeded ||
          deps_.clock.Now() - start > std::chrono::minutes(1)) {
        retry = kWatchRetryFirst;
      } else {
        LOG_DEBUG("event stream broke", {{"runtime", ToString(kind)}, {"error", status}});
      }
      const Deadline until = Deadline::After(retry);
      retry = std::min<Duration>(retry * 2, kWatchRetryLast);
      MutexLock lock(&mu_);
      while (!stopping_ && !until.Expired()) stop_cv_.WaitUntil(&mu_, until);
    }
  }

  const ControllerDeps deps_;
  const ControllerOptions options_;
  InstanceCache cache_;
  WorkQueue queue_;
  TaskPool pulls_, probes_;
  ServerReconciler reconciler_;
  std::stop_source stop_;  // of the event streams
  std::atomic<bool> stopping_{false}, draining_{false};
  std::vector<std::thread> threads_;  // touched by Start and Stop only

  mutable Mutex mu_;
  CondVar wake_cv_, reconciled_cv_, stop_cv_;
  bool swept_ GUARDED_BY(mu_) = false;  // every runtime was asked once
  bool desired_changed_ GUARDED_BY(mu_) = true;
  MonoTime relist_at_ GUARDED_BY(mu_), events_due_ GUARDED_BY(mu_) = MonoTime::max(), collect_at_ GUARDED_BY(mu_);
  std::map<RuntimeKind, Hint> events_ GUARDED_BY(mu_);
  std::map<RuntimeKind, int> list_failures_ GUARDED_BY(mu_);
  std::shared_ptr<const DesiredSnapshot> last_desired_ GUARDED_BY(mu_) = std::make_shared<DesiredSnapshot>();
  std::map<ServerKey, std::unique_ptr<ServerRecord>> records_ GUARDED_BY(mu_);
  std::map<ServerKey, std::vector<Outcome>> inbox_ GUARDED_BY(mu_);
  std::map<ServerKey, ServerView> views_ GUARDED_BY(mu_);
  ArtifactHistory artifacts_ GUARDED_BY(mu_);
};

Controller::Controller(const ControllerDeps& deps, const ControllerOptions& options)
    : impl_(std::make_unique<Impl>(deps, options)) {}
Controller::~Controller() = default;
void Controller::Start(int workers, bool draining) { impl_->Start(workers, draining); }
void Controller::Stop() { impl_->Stop(); }
Status Controller::Drain(Deadline deadline) { return impl_->Drain(deadline); }
bool Controller::RunOne() { return impl_->RunOne(); }
MonoTime Controller::NextDue() const { return impl_->NextDue(); }
void Controller::Trigger(const ServerKey& key) { impl_->Trigger(key); }
void Controller::NotifyRuntimeEvent(RuntimeKind runtime, const std::string& instance) {
  impl_->NotifyRuntimeEvent(runtime, instance);
}
void Controller::NotifyDesiredChanged() { impl_->NotifyDesiredChanged(); }
std::optional<ServerStatus> Controller::StatusOf(const ServerKey& key) const {
  std::optional<ServerView> view = impl_->ViewOf(key);
  if (!view) return std::nullopt;
  return std::move(view->status);
}
std::vector<ServerStatus> Controller::Statuses() const { return impl_->Statuses(); }
StatusOr<ProbeTarget> Controller::TargetOf(const ServerKey& key) const { return impl_->TargetOf(key); }
StatusOr<InstanceReport> Controller::InstanceOf(const ServerKey& key) const {
  std::optional<ServerView> view = impl_->ViewOf(key);
  if (!view) return NotFound("no server " + ToString(key) + " on this node");
  if (!view->instance) return Unavailable(ToString(key) + " has no instance now");
  return *view->instance;
}
StatusOr<ClientTarget> Controller::ClientTargetOf(const ServerKey& key) const {
  std::optional<ServerView> view = impl_->ViewOf(key);
  if (!view || !view->client) return NotFound("no server " + ToString(key) + " on this node");
  return *std::move(view->client);
}
bool Controller::Synced() const { return impl_->Synced(); }

}  // namespace mcpfleet
