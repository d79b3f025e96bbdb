#include "store/kubernetes/merger.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "store/kubernetes/status_entry.h"
#include "store/kubernetes/status_writer.h"

namespace mcpfleet::kube {
namespace {
// News of many nodes come in a burst: they are merged once.
constexpr Duration kGather = std::chrono::milliseconds(200);
constexpr Duration kRetry = std::chrono::seconds(5);
}  // namespace

Merger::Merger(RestClient& rest, const Registry& registry, const Clock& clock, uint64_t seed, ElectorOptions options,
               std::function<bool()> complete)
    : rest_(rest),
      registry_(registry),
      clock_(clock),
      timeout_(options.timeout),
      complete_(std::move(complete)),
      elector_(rest, clock, seed, std::move(options)) {}

Merger::~Merger() { Stop(); }

void Merger::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Merger::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Merger::Wake() {
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

Status Merger::Send(const Call& call) {
  ASSIGN_OR_RETURN(const Answer answer, rest_.Do(call, Deadline::After(timeout_)));
  // Gone, or changed since: the watch brings the news, and this is looked at again.
  if (answer.code == 404 || answer.code == 409) return OkStatus();
  return StatusOf(answer, call.path);
}

std::set<std::string> Merger::SilentNodesOf(const Resource& resource) const {
  std::set<std::string> silent;
  for (const Json& entry : GetMember(resource.status, "nodes")) {
    if (std::string node = GetString(entry, "node"); elector_.IsSilent(node)) silent.insert(std::move(node));
  }
  return silent;
}

Status Merger::Tend(const ServerKey& key, const Resource& resource) {
  const std::string path = ServerPath(key);
  const auto apply = [&](const std::string& manager, const Json& body) {
    return Send({.method = "PATCH",
                 .path = path + "/status",
                 .query = "fieldManager=" + PercentEncode(manager) + "&force=true",
                 .content_type = kApplyPatch,
                 .body = DumpJson(body)});
  };
  const bool ending = resource.deleting && HasFinalizer(resource);
  bool gave_up = false;
  for (const Json& entry : GetMember(resource.status, "nodes")) {
    const std::string node = GetString(entry, "node");
    if (!(ending ? elector_.IsSilent(node) : elector_.IsGone(node))) continue;
    RETURN_IF_ERROR(apply(ManagerOf(node), NodeApply(resource, nullptr)));
    gave_up = true;
  }
  // The watch brings what is left.
  if (gave_up || (ending && !GetMember(resource.status, "nodes").empty())) return OkStatus();
  if (HasFinalizer(resource) == resource.deleting) {  // to be added, or of no use any more
    return Send({.method = "PATCH",
                 .path = path,
                 .query = "fieldManager=" + std::string(kMergeManager),
                 .content_type = kMergePatch,
                 .body = DumpJson(FinalizerPatch(resource, !resource.deleting))});
  }
  const Json merged = MergedStatus(resource, SilentNodesOf(resource), clock_.Wall());
  if (resource.deleting || SameMerged(merged, resource.status)) return OkStatus();
  return apply(kMergeManager, MergedApply(resource, merged));
}

// The Lease goes last: it is what says that the node is gone.
Status Merger::ForgetNodes(const Resources& servers) {
  std::set<std::string> gone = elector_.GoneNodes();
  if (gone.empty() || !complete_()) return OkStatus();
  for (const auto& [key, resource] : servers) {
    for (const Json& entry : GetMember(resource->status, "nodes")) gone.erase(GetString(entry, "node"));
  }
  for (const std::string& node : gone) RETURN_IF_ERROR(elector_.Forget(node));
  return OkStatus();
}

void Merger::Merge() {
  const Resources servers = registry_.Servers();
  std::erase_if(done_, [&](const auto& each) { return !servers.contains(each.first); });
  Status failed = OkStatus();
  for (const auto& [key, resource] : servers) {
    {
      MutexLock lock(&mu_);
      if (stopping_) return;
    }
    if (!elector_.Held()) return;
    Done& done = done_[key];
    std::string version = resource->version;
    for (const std::string& node : SilentNodesOf(*resource)) version += (elector_.IsGone(node) ? "/-" : "/") + node;
    if (done.version == version && clock_.Now() < done.retry_at) continue;
    const Status status = Tend(key, *resource);
    if (!status.ok()) failed = status;
    done = {version, status.ok() ? MonoTime::max() : clock_.Now() + kRetry};
  }
  if (const Status status = ForgetNodes(servers); !status.ok()) failed = status;
  const std::string problem = failed.ok() ? "" : Message(failed);
  if (problem != problem_ && !failed.ok())
    LOG_WARNING("a merged status could not be written; it will be tried again", {{"error", failed}});
  problem_ = problem;
}

void Merger::Run() {
  std::string said;
  for (;;) {
    const Status status = elector_.Step();
    const std::string problem = status.ok() ? "" : Message(status);
    if (problem != said && !status.ok()) LOG_WARNING("the lease could not be kept", {{"error", status}});
    said = problem;
    if (elector_.Held()) Merge();
    MutexLock lock(&mu_);
    const MonoTime due = std::min(elector_.due(), clock_.Now() + kRetry);
    while (!stopping_ && !woken_ && clock_.Now() < due) wake_.WaitUntil(&mu_, Deadline::After(due - clock_.Now()));
    const Deadline gathered = Deadline::After(kGather);
    while (!stopping_ && wake_.WaitUntil(&mu_, gathered)) {
    }
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace mcpfleet::kube
