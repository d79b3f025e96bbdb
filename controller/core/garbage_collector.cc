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
