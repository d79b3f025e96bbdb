#include "controller/core/garbage_collector.h"

#include <algorithm>

#include "base/log.h"

namespace mcpfleet {
namespace {
constexpr Duration kCollectTimeout = std::chrono::minutes(2);
}  // namespace

void ArtifactHistory::Note(const ServerKey& server, const std::string& digest) {
  if (digest.empty()) return;
  std::vector<std::string>& list = digests_[server];
  if (!list.empty() && list.front() == digest) return;
  std::erase(list, digest);
  list.insert(list.begin(), digest);
  if (list.size() > 2) list.resize(2);
}

std::vector<std::string> ArtifactHistory::Keep() const {
  std::vector<std::string> keep;
  for (const auto& [server, list] : digests_) keep.insert(keep.end(), list.begin(), list.end());
  std::sort(keep.begin(), keep.end());
  keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
  return keep;
}

Status CollectGarbage(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const std::vector<std::string>& keep,
                      int64_t quota_bytes, ControllerMetrics& metrics, const Clock& clock) {
  Status first = OkStatus();
  for (const auto& [kind, runtime] : runtimes) {
    const MonoTime start = clock.Now();
    Status status = runtime->CollectArtifacts(keep, quota_bytes, Deadline::After(kCollectTimeout));
    metrics.RuntimeOperation("CollectArtifacts", status.ok(), clock.Now() - start);
    if (!status.ok()) {
      LOG_WARNING("artifacts could not be collected", {{"runtime", ToString(kind)}, {"error", status}});
      if (first.ok()) first = status;
    }
  }
  return first;
}

}  // namespace mcpfleet
