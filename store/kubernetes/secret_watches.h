// The core Secrets that servers of this node name, each listed and watched by its name alone: nothing else of the
// namespace is read, and a role can allow them one by one (resourceNames).
//
// Want from one thread; the rest is thread-safe. A watch is a thread and a connection, so there are at most
// kMostCoreSecrets of them; what is named beyond is not read, and says so.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "store/kubernetes/cluster_state.h"
#include "store/kubernetes/informer.h"

namespace mcpfleet::kube {

inline constexpr size_t kMostCoreSecrets = 64;

class SecretWatches {
 public:
  SecretWatches(RestClient& rest, const Clock& clock, uint64_t seed, std::function<void()> on_change)
      : rest_(rest), clock_(clock), seed_(seed), on_change_(std::move(on_change)) {}
  ~SecretWatches() { Want({}); }
  // Begins and ends watches so that exactly these are watched. Waits for those that end.
  void Want(const std::set<SecretName>& names) LOCKS_EXCLUDED(mu_);
  // Of those that are wanted.
  CoreSecrets Current() const LOCKS_EXCLUDED(mu_);

 private:
  void Take(const SecretName& name, const std::vector<Change>& changes) LOCKS_EXCLUDED(mu_);
  void TakeRefusal(const SecretName& name, const Status& refused) LOCKS_EXCLUDED(mu_);
  RestClient& rest_;
  const Clock& clock_;
  const uint64_t seed_;
  const std::function<void()> on_change_;
  std::map<SecretName, std::unique_ptr<Informer>> informers_;  // of the thread of Want
  mutable Mutex mu_;
  CoreSecrets secrets_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::kube
