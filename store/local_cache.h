// The node's copy of the desired state on disk: blobs named by their hash, and one small state file that says which
// of them are in force. It is what a node boots from with no network.
//
// A blob is verified each time it is read, so a torn or damaged file is merely absent. Blobs are flushed before the
// state that names them is replaced (atomically): after a crash the old or the new state is there with all its blobs.
// A full disk or quota is an error of the call (ResourceExhausted) and harms nothing that is there. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/status.h"

namespace mcpfleet {

struct CacheBlob {
  std::string hash, bytes;
};

class LocalCache {
 public:
  // Makes `directory` (mode 0700) when absent.
  static StatusOr<std::unique_ptr<LocalCache>> Open(const std::string& directory, int64_t quota_bytes);

  std::optional<std::string> Get(std::string_view hash) const;
  bool Has(std::string_view hash) const;
  // Blobs whose bytes do not have their hash are InvalidArgument. Durable after the next SaveState.
  Status Put(const std::vector<CacheBlob>& blobs);

  std::optional<std::string> LoadState() const;
  Status SaveState(std::string_view state);

  // Removes blobs outside of `keep`, oldest first, while the cache holds more than half of its quota, or some thousand
  // of them.
  Status Collect(const std::set<std::string>& keep);
  int64_t bytes() const;

 private:
  LocalCache(std::string directory, int64_t quota_bytes);
  std::string PathOf(std::string_view hash) const;
  Status WriteBlob(const CacheBlob& blob) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Status FlushBlobs() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  const int64_t quota_bytes_;
  mutable Mutex mu_;
  // Written and not flushed; with `many_unflushed_` there are more, as there may be from a process before this one.
  std::vector<UniqueFd> unflushed_ GUARDED_BY(mu_);
  bool many_unflushed_ GUARDED_BY(mu_) = true;
  mutable std::map<std::string, int64_t, std::less<>> sizes_ GUARDED_BY(mu_);
  mutable int64_t bytes_ GUARDED_BY(mu_) = 0;
};

}  // namespace mcpfleet
