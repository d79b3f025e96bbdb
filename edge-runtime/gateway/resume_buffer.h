// Events of a session's streams, kept so that a client that lost its connection can have them again
// (`Last-Event-ID`; specification 2025-11-25, basic/transports, "Resumability and Redelivery"). A replay is of one
// stream only.
//
// Bounded by number, bytes and age; what is dropped is remembered as dropped, so that a client learns of the gap
// instead of waiting for ever. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace mcpfleet::gateway {

// "<stream>-<sequence>", base 36.
struct EventId {
  uint64_t stream = 0, sequence = 0;

  std::string ToString() const;
  static std::optional<EventId> Parse(std::string_view text);
  bool operator==(const EventId&) const = default;
};

class ResumeBuffer {
 public:
  struct Limits {
    size_t events = 1000;
    size_t bytes = size_t{1} << 20;
    Duration age = std::chrono::seconds(60);
  };
  struct Event {
    EventId id;
    std::string data;
    MonoTime at{};
  };

  explicit ResumeBuffer(Limits limits) : limits_(limits) {}
  void Add(const EventId& id, std::string data, MonoTime now);
  // Whether an event of that size is kept at all.
  bool Keeps(size_t bytes) const { return bytes <= limits_.bytes; }
  // An event that is not kept.
  void NoteGap(const EventId& id);
  // The events of that stream behind `after`, oldest first; valid until the next change.
  std::vector<const Event*> After(const EventId& after) const;
  // Whether an event of that stream behind `after` was dropped.
  bool HasGap(const EventId& after) const;
  // Drops what is too old.
  void Prune(MonoTime now);
  // Nothing of this stream will be asked for any more.
  void DropStream(uint64_t stream);
  bool empty() const { return events_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kMaxGaps = 256;
  void DropOldest();

  const Limits limits_;
  std::deque<Event> events_;
  size_t bytes_ = 0;
  std::map<uint64_t, uint64_t> gaps_;  // stream -> the last sequence dropped
};

}  // namespace mcpfleet::gateway
