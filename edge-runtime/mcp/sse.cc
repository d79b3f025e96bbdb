#include "edge-runtime/mcp/sse.h"

#include <cstdlib>
#include <utility>

namespace mcpfleet::mcp {

StatusOr<std::vector<SseEvent>> SseParser::Feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    size_t end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (line_.size() + data_.size() > max_) {
      return ResourceExhausted("event larger than " + std::to_string(max_) + " bytes");
    }
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    TakeLine(&events);
    line_.clear();
  }
  return events;
}

void SseParser::TakeLine(std::vector<SseEvent>* events) {
  std::string_view line = line_;
  if (std::exchange(at_start_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    // The end of an event; one without data is dropped, but its id counts.
    if (has_data_) events->push_back({type_.empty() ? "message" : type_, std::move(data_), id_});
    type_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  size_t colon = line.find(':');
  std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  } else if (name == "retry" && !value.empty() && value.size() < 10 &&
             value.find_first_not_of("0123456789") == std::string_view::npos) {
    retry_millis_ = atoll(std::string(value).c_str());
  }
}

}  // namespace mcpfleet::mcp
