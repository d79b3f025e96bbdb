// Server-sent events (text/event-stream, WHATWG HTML §9.2), read piece by piece as they come from a socket.
//
//   SseParser parser;
//   StatusOr<std::vector<SseEvent>> events = parser.Feed(piece);  // as often as pieces come
//
// A field or event longer than the bound ends the stream: the peer is broken or hostile. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/status.h"

namespace mcpfleet::mcp {

struct SseEvent {
  std::string type;  // "message" unless the event names another
  std::string data;  // lines joined by "\n"; may be empty (priming events)
  std::string id;    // the last event id seen so far
};

class SseParser {
 public:
  explicit SseParser(size_t max_event_bytes = limits::kChildLineBytes) : max_(max_event_bytes) {}
  // Events completed by `bytes`. ResourceExhausted when one is too large; the parser is useless then.
  StatusOr<std::vector<SseEvent>> Feed(std::string_view bytes);
  // What a reader that comes back sends as Last-Event-ID: also the id of an event without data.
  const std::string& last_id() const { return id_; }
  // How long it is asked to wait before it does; negative: the server has not said.
  int64_t retry_millis() const { return retry_millis_; }

 private:
  void TakeLine(std::vector<SseEvent>* events);

  size_t max_;
  std::string line_;
  bool after_cr_ = false;  // a "\n" now belongs to the "\r" before it
  bool at_start_ = true;   // a byte order mark may come
  bool has_data_ = false;
  std::string type_, data_, id_;
  int64_t retry_millis_ = -1;
};

}  // namespace mcpfleet::mcp
