#include "controller/core/instance_cache.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace mcpfleet {
namespace {

bool SameExit(const std::optional<ExitInfo>& a, const std::optional<ExitInfo>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || std::tie(a->code, a->signal, a->oom) == std::tie(b->code, b->signal, b->oom);
}

bool Same(const InstanceReport& a, const InstanceReport& b) {
  return std::tie(a.id, a.uid, a.generation, a.revision, a.state, a.pid, a.artifact_digest, a.started_at, a.shim,
                  a.attached, a.unenforced) == std::tie(b.id, b.uid, b.generation, b.revision, b.state, b.pid,
                                                        b.artifact_digest, b.started_at, b.shim, b.attached,
                                                        b.unenforced) &&
         SameExit(a.exit, b.exit);
}

bool Same(const std::vector<InstanceReport>& a, const std::vector<InstanceReport>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return Same(x, y); });
}

bool ById(const InstanceReport& a, const InstanceReport& b) { return a.id < b.id; }

// A list took a while: of an instance that was looked at meanwhile the look counts, also that it was gone.
void KeepNewerLooks(const std::map<std::string, uint64_t>& looked, uint64_t began,
                    const std::map<ServerKey, std::vector<InstanceReport>>& known,
                    std::vector<InstanceReport>* reports) {
  const auto newer = [&](const InstanceReport& report) {
    auto it = looked.find(report.id);
    return it != looked.end() && it->second > began;
  };
  std::erase_if(*reports, newer);
  for (const auto& [server, of_server] : known)
    std::copy_if(of_server.begin(), of_server.end(), std::back_inserter(*reports), newer);
}

}  // namespace

InstanceCache::InstanceCache(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const Clock& clock,
                             ControllerMetrics& metrics)
    : clock_(clock), metrics_(metrics) {
  MutexLock lock(&mu_);
  for (auto& [kind, runtime] : runtimes) listings_[kind].runtime = runtime;
}

InstanceCache::OwnChange::OwnChange(InstanceCache& cache, std::string instance)
    : cache_(cache), instance_(std::move(instance)) {
  MutexLock lock(&cache_.mu_);
  cache_.changing_.insert(instance_);
}

InstanceCache::OwnChange::~OwnChange() {
  MutexLock lock(&cache_.mu_);
  cache_.changing_.erase(instance_);
}

bool InstanceCache::IsOwnChange(const std::string& instance) const {
  MutexLock lock(&mu_);
  return changing_.contains(instance);
}

uint64_t InstanceCache::Mark() {
  MutexLock lock(&mu_);
  return ++tick_;
}

Status InstanceCache::Refresh(RuntimeKind kind, uint64_t since, Deadline deadline, const ServerKey* asker) {
  ContainerRuntime* runtime = nullptr;
  uint64_t began = 0;
  {
    MutexLock lock(&mu_);
    auto it = listings_.find(kind);
    if (it == listings_.end())
      return FailedPrecondition(std::string(ToString(kind)) + ": this node has no such runtime");
    Listing& listing = it->second;
    while (true) {
      if (listing.tick > since && listing.health.ok()) return OkStatus();
      if (!listing.running) break;
      if (!listed_cv_.WaitUntil(&mu_, deadline)) return DeadlineExceeded("waiting for a list of instances");
    }
    listing.running = true;
    runtime = listing.runtime;
    began = ++tick_;
  }
  const MonoTime start = clock_.Now();
  StatusOr<std::vector<InstanceReport>> reports = runtime->List(deadline);
  metrics_.RuntimeOperation("List", reports.ok(), clock_.Now() - start);
  MutexLock lock(&mu_);
  Listing& listing = listings_.at(kind);
  listing.running = false;
  // A runtime that came or went changes what can be said of all its servers.
  if (listing.health.ok() != reports.ok() || !listing.asked) {
    flipped_.insert(kind);
    for (const auto& [server, unused] : listing.by_server) changed_.insert(server);
  }
  listing.asked = true;
  listing.health = reports.status();
  if (reports.ok()) {
    listing.tick = began;
    KeepNewerLooks(listing.looked, began, listing.by_server, &*reports);
    std::erase_if(listing.looked, [&](const auto& look) { return look.second < began; });
    Store(&listing, *std::move(reports), asker);
  }
  listed_cv_.NotifyAll();
  return listing.health;
}

Status InstanceCache::Look(RuntimeKind kind, const std::string& id, uint64_t since, Deadline deadline,
                           const ServerKey* asker) {
  ContainerRuntime* runtime = nullptr;
  uint64_t began = 0;
  {
    MutexLock lock(&mu_);
    auto it = listings_.find(kind);
    if (it != listings_.end() && it->second.tick > 0 && it->second.health.ok()) {
      if (NewestOf(it->second, id) > since) return OkStatus();
      runtime = it->second.runtime;
      began = ++tick_;
    }
  }
  if (runtime == nullptr) return Refresh(kind, since, deadline, asker);
  const MonoTime start = clock_.Now();
  StatusOr<std::optional<InstanceReport>> report = runtime->Look(id, deadline);
  metrics_.RuntimeOperation("Look", report.ok(), clock_.Now() - start);
  if (!report.ok()) return Refresh(kind, since, deadline, asker);
  MutexLock lock(&mu_);
  Listing& listing = listings_.at(kind);
  if (NewestOf(listing, id) > began) return OkStatus();
  if (*report) (*report)->runtime = kind;
  listing.looked[id] = began;
  Put(&listing, id, *report, asker);
  return OkStatus();
}

uint64_t InstanceCache::NewestOf(const Listing& listing, const std::string& id) {
  const auto looked = listing.looked.find(id);
  return looked == listing.looked.end() ? listing.tick : std::max(listing.tick, looked->second);
}

void InstanceCache::Changed(const ServerKey& server, const ServerKey* asker) {
  if (asker == nullptr || server != *asker) changed_.insert(server);
}

void InstanceCache::Put(Listing* listing, const std::string& id, const std::optional<InstanceReport>& report,
                        const ServerKey* asker) {
  // Whose it was, and whose it is: the same, but that is the engine's word.
  std::set<ServerKey> servers;
  if (auto owner = owners_.find(id); owner != owners_.end()) servers.insert(owner->second);
  if (report) servers.insert(report->server);
  for (const ServerKey& server : servers) {
    std::vector<InstanceReport>& reports = listing->by_server[server];
    const auto at = std::find_if(reports.begin(), reports.end(), [&](const auto& known) { return known.id == id; });
    const bool known = at != reports.end(), is = report && report->server == server;
    if (known != is || (is && !Same(*at, *report))) Changed(server, asker);
    if (known && is) {
      *at = *report;
    } else if (known) {
      reports.erase(at);
      owners_.erase(id);
    } else if (is) {
      reports.insert(std::upper_bound(reports.begin(), reports.end(), *report, ById), *report);
    }
    if (reports.empty()) listing->by_server.erase(server);
  }
  if (report) owners_[id] = report->server;
}

void InstanceCache::Store(Listing* listing, std::vector<InstanceReport> reports, const ServerKey* asker) {
  std::map<ServerKey, std::vector<InstanceReport>> by_server;
  std::sort(reports.begin(), reports.end(), ById);
  for (InstanceReport& report : reports) {
    report.runtime = listing->runtime->kind();
    owners_[report.id] = report.server;
    by_server[report.server].push_back(std::move(report));
  }
  for (const auto& [server, old] : listing->by_server) {
    auto it = by_server.find(server);
    if (it == by_server.end() || !Same(it->second, old)) Changed(server, asker);
    for (const InstanceReport& report : old) {
      const bool still = it != by_server.end() && std::any_of(it->second.begin(), it->second.end(),
                                                              [&](const auto& r) { return r.id == report.id; });
      if (!still) owners_.erase(report.id);
    }
  }
  for (const auto& [server, unused] : by_server) {
    if (!listing->by_server.contains(server)) Changed(server, asker);
  }
  listing->by_server = std::move(by_server);
}

std::vector<InstanceReport> InstanceCache::Of(const ServerKey& server) const {
  MutexLock lock(&mu_);
  std::vector<InstanceReport> out;
  for (const auto& [kind, listing] : listings_) {
    auto it = listing.by_server.find(server);
    if (it != listing.by_server.end()) out.insert(out.end(), it->second.begin(), it->second.end());
  }
  return out;
}

std::vector<InstanceReport> InstanceCache::All() const {
  MutexLock lock(&mu_);
  std::vector<InstanceReport> out;
  for (const auto& [kind, listing] : listings_) {
    for (const auto& [server, reports] : listing.by_server) out.insert(out.end(), reports.begin(), reports.end());
  }
  return out;
}

std::set<ServerKey> InstanceCache::Servers() const {
  MutexLock lock(&mu_);
  std::set<ServerKey> out;
  for (const auto& [kind, listing] : listings_) {
    for (const auto& [server, reports] : listing.by_server) out.insert(server);
  }
  return out;
}

std::set<ServerKey> InstanceCache::TakeChanged() {
  MutexLock lock(&mu_);
  return std::exchange(changed_, {});
}

std::set<RuntimeKind> InstanceCache::TakeFlipped() {
  MutexLock lock(&mu_);
  return std::exchange(flipped_, {});
}

Status InstanceCache::Health(RuntimeKind runtime) const {
  MutexLock lock(&mu_);
  auto it = listings_.find(runtime);
  if (it == listings_.end())
    return FailedPrecondition("this node has no " + std::string(ToString(runtime)) + " runtime");
  if (!it->second.asked) return Unavailable("not listed yet");
  return it->second.health;
}

bool InstanceCache::EverListed(RuntimeKind runtime) const {
  MutexLock lock(&mu_);
  auto it = listings_.find(runtime);
  return it != listings_.end() && it->second.tick > 0;
}

bool InstanceCache::AllAsked() const {
  MutexLock lock(&mu_);
  return std::all_of(listings_.begin(), listings_.end(), [](const auto& entry) { return entry.second.asked; });
}

std::optional<ServerKey> InstanceCache::OwnerOf(const std::string& instance) const {
  MutexLock lock(&mu_);
  auto it = owners_.find(instance);
  if (it == owners_.end()) return std::nullopt;
  return it->second;
}

void InstanceCache::NoteOwner(const std::string& instance, const ServerKey& server) {
  MutexLock lock(&mu_);
  owners_[instance] = server;
}

}  // namespace mcpfleet
