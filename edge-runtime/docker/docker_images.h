// Which images this node pulled, so that the quota never removes one that somebody else put here: images carry no
// label of ours. A small JSON file in the state directory; losing it only means that old images are kept.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "edge-runtime/docker/docker_json.h"

namespace mcpfleet {

struct PulledImage {
  std::string id, ref;
  std::string pulled_at;  // RFC 3339
};

// Of all of `ours` that are there. Layers that images share count for each of them. Pure.
int64_t ImageBytes(const std::vector<PulledImage>& ours, const std::vector<ListedImage>& present);

// Which of `ours` to remove, oldest first, so that what remains of them fits the quota. Never one of `keep`. Pure.
std::vector<std::string> ImagesToRemove(const std::vector<PulledImage>& ours, const std::vector<ListedImage>& present,
                                        const std::vector<std::string>& keep, int64_t quota_bytes);

// Thread-safe.
class PulledImages {
 public:
  // `path` "" keeps the list in memory only. A file that can't be read counts as empty.
  explicit PulledImages(std::string path);
  std::vector<PulledImage> List() const LOCKS_EXCLUDED(mu_);
  // Adds or renews.
  Status Remember(PulledImage image) LOCKS_EXCLUDED(mu_);
  Status Forget(const std::vector<std::string>& ids) LOCKS_EXCLUDED(mu_);

 private:
  Status Save() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const std::string path_;
  mutable Mutex mu_;
  std::vector<PulledImage> images_ GUARDED_BY(mu_);  // oldest first
};

}  // namespace mcpfleet
