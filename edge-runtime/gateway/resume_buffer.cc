#include "edge-runtime/gateway/resume_buffer.h"

#include <algorithm>
#include <charconv>

namespace mcpfleet::gateway {
namespace {

std::string Base36(uint64_t number) {
  char text[16];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number, 36);
  return std::string(text, end);
}

std::optional<uint64_t> FromBase36(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 36);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string EventId::ToString() const { return Base36(stream) + "-" + Base36(sequence); }

std::optional<EventId> EventId::Parse(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.size() > 32) return std::nullopt;
  const std::optional<uint64_t> stream = FromBase36(text.substr(0, dash));
  const std::optional<uint64_t> sequence = FromBase36(text.substr(dash + 1));
  if (!stream || !sequence) return std::nullopt;
  return EventId{*stream, *sequence};
}

void ResumeBuffer::Add(const EventId& id, std::string data, MonoTime now) {
  if (!Keeps(data.size())) return NoteGap(id);
  bytes_ += data.size();
  events_.push_back({id, std::move(data), now});
  while (events_.size() > limits_.events || bytes_ > limits_.bytes) DropOldest();
}

void ResumeBuffer::DropOldest() {
  NoteGap(events_.front().id);
  bytes_ -= events_.front().data.size();
  events_.pop_front();
}

void ResumeBuffer::NoteGap(const EventId& id) {
  uint64_t& last = gaps_[id.stream];
  last = std::max(last, id.sequence);
  // Streams are numbered as they begin: the lowest is the oldest.
  if (gaps_.size() > kMaxGaps) gaps_.erase(gaps_.begin());
}

std::vector<const ResumeBuffer::Event*> ResumeBuffer::After(const EventId& after) const {
  std::vector<const Event*> out;
  for (const Event& event : events_) {
    if (event.id.stream == after.stream && event.id.sequence > after.sequence) out.push_back(&event);
  }
  return out;
}

bool ResumeBuffer::HasGap(const EventId& after) const {
  auto it = gaps_.find(after.stream);
  return it != gaps_.end() && it->second > after.sequence;
}

void ResumeBuffer::Prune(MonoTime now) {
  while (!events_.empty() && now - events_.front().at >= limits_.age) DropOldest();
}

void ResumeBuffer::DropStream(uint64_t stream) {
  std::erase_if(events_, [&](const Event& event) {
    if (event.id.stream != stream) return false;
    bytes_ -= event.data.size();
    return true;
  });
  gaps_.erase(stream);
}

}  // namespace mcpfleet::gateway
