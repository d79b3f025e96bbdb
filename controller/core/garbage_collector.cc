#include "controller/core/garbage_collector.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {
constexpr Duration kCollectTimeout = std::chrono::minutes(2);
constexpr size_t kKept = 2;  // the current revision's and the previous one's
}  // namespace

std::vector<std::string> ArtifactHistory::Parse(const std::string& noted) {
  return noted.empty() ? std::vector<std::string>() : Split(noted, '\n');
}

std::string ArtifactHistory::Note(const ServerKey& server, const std::string& digest, const std::string& noted) {
  if (digest.empty()) return "";
  auto [it, first] = digests_.try_emplace(server);
  std::vector<std::string>& list = it->second;
  if (first) list = Parse(noted);
  if (!list.empty() && list.front() == digest) return "";
  std::erase(list, digest);
  list.insert(list.begin(), digest);
  if (list.size() > kKept) list.resize(kKept);
  return Join(list, "\n");
}

std::vector<std::string> ArtifactHistory::Keep() const {
  std::vector<std::string> keep;
  for (const auto& [server, list] : digests_) keep.insert(keep.end(), list.begin(), list.end());
  std::sort(keep.begin(), keep.end());
  keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
  return keep;
}

std::map<RuntimeKind, int64_t> ShareQuota(const std::map<RuntimeKind, int64_t>& used, int64_t quota_bytes) {
  int64_t total = 0;
  for (const auto& [kind, bytes] : used) total += bytes;
  std::map<RuntimeKind, int64_t> shares;
  for (const auto& [kind, bytes] : used) {
    shares[kind] = total <= quota_bytes
                       ? quota_bytes - (total - bytes)
                       : static_cast<int64_t>(static_cast<double>(quota_bytes) *
                                              (static_cast<double>(bytes) / static_cast<double>(total)));
  }
  return shares;
}

namespace {

class Round {
 public:
  Round(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const std::vector<std::string>& keep,
        ControllerMetrics& metrics, const Clock& clock)
      : runtimes_(runtimes), keep_(keep), metrics_(metrics), clock_(clock) {
    for (const auto& [kind, runtime] : runtimes_) Measure(kind, runtime);
  }
  const std::map<RuntimeKind, int64_t>& used() const { return used_; }
  int64_t total() const {
    int64_t total = 0;
    for (const auto& [kind, bytes] : used_) total += bytes;
    return total;
  }
  const Status& status() const { return status_; }

  void Collect(RuntimeKind kind, int64_t quota_bytes) {
    ContainerRuntime* runtime = runtimes_.at(kind);
    const MonoTime start = clock_.Now();
    Status status = runtime->CollectArtifacts(keep_, quota_bytes, Deadline::After(kCollectTimeout));
    metrics_.RuntimeOperation("CollectArtifacts", status.ok(), clock_.Now() - start);
    if (!status.ok()) return Failed(kind, status);
    if (used_[kind] > quota_bytes) Measure(kind, runtime);
  }

 private:
  void Measure(RuntimeKind kind, ContainerRuntime* runtime) {
    StatusOr<int64_t> bytes = runtime->ArtifactBytes(Deadline::After(kCollectTimeout));
    if (bytes.ok()) {
      used_[kind] = *bytes;
    } else {
      Failed(kind, bytes.status());
    }
  }
  void Failed(RuntimeKind kind, const Status& status) {
    LOG_WARNING("artifacts could not be collected", {{"runtime", ToString(kind)}, {"error", status}});
    if (status_.ok()) status_ = status;
    used_.erase(kind);  // left alone for the rest of the round
  }

  const std::map<RuntimeKind, ContainerRuntime*>& runtimes_;
  const std::vector<std::string>& keep_;
  ControllerMetrics& metrics_;
  const Clock& clock_;
  std::map<RuntimeKind, int64_t> used_;
  Status status_;
};

}  // namespace

Status CollectGarbage(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const std::vector<std::string>& keep,
                      int64_t quota_bytes, ControllerMetrics& metrics, const Clock& clock) {
  Round round(runtimes, keep, metrics, clock);
  for (const auto& [kind, share] : ShareQuota(round.used(), quota_bytes)) round.Collect(kind, share);
  // What is kept, or bigger than its share, in one runtime may leave less to the others.
  const std::map<RuntimeKind, int64_t> after = round.used();
  for (const auto& [kind, bytes] : after) {
    if (round.total() <= quota_bytes) break;
    round.Collect(kind, std::max<int64_t>(0, quota_bytes - (round.total() - bytes)));
  }
  return round.status();
}

}  // namespace mcpfleet
