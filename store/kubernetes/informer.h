// One collection of the API server, followed: a Reflector with its requests, on a thread of its own.
//
// `on_changes` is called from that thread: each time a list is complete (also when it brings nothing) and with each
// event. Stop ends a watch that waits; it may take up to ten seconds while a connection is being made.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "store/kubernetes/reflector.h"
#include "store/kubernetes/rest.h"

namespace mcpfleet::kube {

struct InformerOptions {
  std::string path;  // of the collection
  ReflectorOptions reflector;
  // Of what mcplet can do without: told of each 403 (PermissionDenied) and 404 (NotFound) to the list, from the thread.
  std::function<void(const Status& refused)> on_refused;
  Duration list_timeout = std::chrono::seconds(60), open_timeout = std::chrono::seconds(10);
};

class Informer {
 public:
  using OnChanges = std::function<void(std::vector<Change>)>;
  // `rest` and `clock` outlive it.
  Informer(RestClient& rest, const Clock& clock, uint64_t seed, InformerOptions options, OnChanges on_changes);
  ~Informer();
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);
  // A list was complete once: what is not in it is known not to exist.
  bool synced() const LOCKS_EXCLUDED(mu_);
  // Why the last request failed; "" when it did not.
  std::string problem() const LOCKS_EXCLUDED(mu_);
  int64_t relists() const LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  bool AwaitDue() LOCKS_EXCLUDED(mu_);
  void List(const Reflector::Request& request) LOCKS_EXCLUDED(mu_);
  void Watch(const Reflector::Request& request) LOCKS_EXCLUDED(mu_);
  // 200 when it ended as it should, 0 when it broke.
  int Follow(http::ResponseStream* stream, Deadline deadline);
  // One line of the watch; true: it is to be ended.
  bool TakeLine(std::string_view line);
  void Report(const Status& status) LOCKS_EXCLUDED(mu_);

  RestClient& rest_;
  const Clock& clock_;
  const InformerOptions options_;
  const OnChanges on_changes_;
  Reflector reflector_;  // of the thread
  mutable Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  bool synced_ GUARDED_BY(mu_) = false;
  int64_t relists_ GUARDED_BY(mu_) = 0;
  std::string problem_ GUARDED_BY(mu_);
  http::ResponseStream* stream_ GUARDED_BY(mu_) = nullptr;  // of the watch under way, to be cancelled
  std::thread thread_;
};

}  // namespace mcpfleet::kube
