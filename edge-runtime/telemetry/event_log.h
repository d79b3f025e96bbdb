// The node's events: what happened to a server, newest kept, repetition counted. Written by the controller, read by the
// admin API and pushed to the store.
//
// Equal events of one server with nothing else in between become one with a count, its first and its last time. At most
// limits::kEvents are kept; the one that happened longest ago goes first. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "controller/ports/recorder.h"

namespace mcpfleet {

class EventLog final : public EventRecorder {
 public:
  // Called after each Record, outside the lock and on the recording thread: must not block. May be called once more by
  // a Record that is under way while Unsubscribe returns.
  using Listener = std::function<void(const Event&)>;

  explicit EventLog(const Clock& clock, size_t capacity = limits::kEvents) : clock_(clock), capacity_(capacity) {}

  void Record(const ServerKey& server, std::string_view type, std::string_view reason,
              std::string_view message) override LOCKS_EXCLUDED(mu_);
  // About the node itself.
  void RecordNode(const std::string& node, std::string_view type, std::string_view reason, std::string_view message)
      LOCKS_EXCLUDED(mu_);
  // In the order of their last occurrence, oldest first; of one server, or of all.
  std::vector<Event> List(const std::optional<ServerKey>& server = std::nullopt) const LOCKS_EXCLUDED(mu_);

  int64_t Subscribe(Listener listener) LOCKS_EXCLUDED(mu_);
  void Unsubscribe(int64_t id) LOCKS_EXCLUDED(mu_);

 private:
  using Events = std::list<Event>;
  void Add(std::string object, std::string_view type, std::string_view reason, std::string_view message)
      LOCKS_EXCLUDED(mu_);
  Event& Insert(Event event) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  const size_t capacity_;
  mutable Mutex mu_;
  Events events_ GUARDED_BY(mu_);
  std::map<std::string, Events::iterator, std::less<>> last_of_ GUARDED_BY(mu_);  // by object
  // shared: a listener may be running while it is unsubscribed.
  std::map<int64_t, std::shared_ptr<const Listener>> listeners_ GUARDED_BY(mu_);
  int64_t next_id_ GUARDED_BY(mu_) = 1;
};

// "MCPServer/<namespace>/<name>", as in Event::object.
std::string EventObject(const ServerKey& server);

}  // namespace mcpfleet
