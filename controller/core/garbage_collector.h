// Frees artifacts (images, package trees) that no server here uses or used just before. Which to keep is decided here,
// which to remove (oldest first, down to the quota) by the runtime.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/recorder.h"
#include "crd/object.h"

namespace mcpfleet {

// The digests of a server's current and previous revision, newest first, and their text for a Notebook, so that the
// previous revision's is still kept after a restart of mcplet.
class ArtifactHistory {
 public:
  // `noted`: the text of an earlier process, which counts when this one knows nothing of the server yet. Returns the
  // text to note, "" when nothing changed.
  std::string Note(const ServerKey& server, const std::string& digest, const std::string& noted);
  void Drop(const ServerKey& server) { digests_.erase(server); }
  std::vector<std::string> Keep() const;
  // Noted by this process: what a notebook alone has may be older than the spec.
  bool Knows(const ServerKey& server) const { return digests_.contains(server); }
  static std::vector<std::string> Parse(const std::string& noted);

 private:
  std::map<ServerKey, std::vector<std::string>> digests_;
};

// Bytes that each runtime may take of a quota for all of them, by what each takes now: the quota in the same parts when
// they take more than it together, else each what the others leave. Pure.
std::map<RuntimeKind, int64_t> ShareQuota(const std::map<RuntimeKind, int64_t>& used, int64_t quota_bytes);

// One round over all runtimes, so that all of them together fit the quota as far as `keep` allows; the first error,
// after all were tried. A runtime that does not tell what it takes is left alone.
Status CollectGarbage(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const std::vector<std::string>& keep,
                      int64_t quota_bytes, ControllerMetrics& metrics, const Clock& clock);

}  // namespace mcpfleet
