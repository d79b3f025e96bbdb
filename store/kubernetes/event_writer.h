// What happened to a server, as Events of events.k8s.io/v1: `kubectl describe mcpserver` and `kubectl get events` show
// them. Repetition is counted in one Event (its series) instead of making more; what comes faster than the bounds is
// left out and counted: events are for people, and an API server has better things to do. mcplet's own log has all.
//
// Record never blocks. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "crd/server_status.h"
#include "store/kubernetes/budget.h"
#include "store/kubernetes/registry.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

// The Event object for what happened to `resource` (its name ends in `suffix`). Pure.
Json EventObjectFor(const Event& event, const Resource& resource, const std::string& node, const std::string& suffix);
// The merge patch for one more repetition.
Json SeriesPatch(const Event& event);

struct EventWriterOptions {
  std::string node;
  double burst = 25;
  Duration refill = std::chrono::seconds(3);
  size_t queue = 256, remembered = 256;
  Duration timeout = std::chrono::seconds(10);
};

class EventWriter {
 public:
  EventWriter(RestClient& rest, const Registry& registry, const Clock& clock, uint64_t seed,
              EventWriterOptions options);
  ~EventWriter();
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  void Record(const Event& event) LOCKS_EXCLUDED(mu_);
  int64_t dropped() const LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  void Write(const Event& event);
  void Drop() LOCKS_EXCLUDED(mu_);
  RestClient& rest_;
  const Registry& registry_;
  const Clock& clock_;
  const EventWriterOptions options_;
  std::mt19937_64 rng_;
  Budget budget_;                              // of the thread
  std::map<std::string, std::string> posted_;  // of the thread: what happened -> path of its Event
  std::deque<std::string> order_;              // of the thread: keys of posted_, oldest first
  std::string problem_;                        // of the thread
  mutable Mutex mu_;
  CondVar wake_;
  std::deque<Event> queue_ GUARDED_BY(mu_);
  int64_t dropped_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet::kube
