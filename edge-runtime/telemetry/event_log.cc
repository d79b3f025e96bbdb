#include "edge-runtime/telemetry/event_log.h"

#include <utility>

#include "base/strings.h"

namespace mcpfleet {
namespace {
// An error text may quote what a server wrote; it must not fill the log or break a terminal.
constexpr size_t kMessageBytes = 1024;
}  // namespace

std::string EventObject(const ServerKey& server) { return "MCPServer/" + ToString(server); }

void EventLog::Record(const ServerKey& server, std::string_view type, std::string_view reason,
                      std::string_view message) {
  Add(EventObject(server), type, reason, message);
}

void EventLog::RecordNode(const std::string& node, std::string_view type, std::string_view reason,
                          std::string_view message) {
  Add("MCPNode/" + node, type, reason, message);
}

void EventLog::Add(std::string object, std::string_view type, std::string_view reason, std::string_view message) {
  Event event{.time = clock_.Wall(),
              .type = std::string(type),
              .object = std::move(object),
              .reason = std::string(reason),
              .message = Printable(message, kMessageBytes)};
  event.first_time = event.time;
  std::vector<std::shared_ptr<const Listener>> listeners;
  {
    MutexLock lock(&mu_);
    event = Insert(std::move(event));
    for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
  }
  for (const auto& listener : listeners) (*listener)(event);
}

Event& EventLog::Insert(Event event) {
  auto last = last_of_.find(event.object);
  if (last != last_of_.end()) {
    Event& before = *last->second;
    if (before.type == event.type && before.reason == event.reason && before.message == event.message) {
      before.time = event.time;
      ++before.count;
      events_.splice(events_.end(), events_, last->second);
      return before;
    }
  }
  events_.push_back(std::move(event));
  last_of_[events_.back().object] = std::prev(events_.end());
  if (events_.size() > capacity_) {
    auto oldest = last_of_.find(events_.front().object);
    if (oldest->second == events_.begin()) last_of_.erase(oldest);
    events_.pop_front();
  }
  return events_.back();
}

std::vector<Event> EventLog::List(const std::optional<ServerKey>& server) const {
  std::string object = server ? EventObject(*server) : "";
  std::vector<Event> list;
  MutexLock lock(&mu_);
  for (const Event& event : events_) {
    if (!server || event.object == object) list.push_back(event);
  }
  return list;
}

int64_t EventLog::Subscribe(Listener listener) {
  MutexLock lock(&mu_);
  listeners_[next_id_] = std::make_shared<const Listener>(std::move(listener));
  return next_id_++;
}

void EventLog::Unsubscribe(int64_t id) {
  MutexLock lock(&mu_);
  listeners_.erase(id);
}

}  // namespace mcpfleet
