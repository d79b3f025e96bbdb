#include "bench/gateway/http_answer.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>

namespace mcpfleet::bench {
namespace {

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

void HttpAnswer::Clear() {
  std::string raw = std::move(raw_), body = std::move(body_);
  *this = HttpAnswer();
  raw.clear();
  body.clear();
  raw_ = std::move(raw);
  body_ = std::move(body);
}

void HttpAnswer::Feed(std::string_view bytes) {
  begun_ = true;
  raw_.erase(0, at_);
  at_ = 0;
  if (stream_ && event_ == body_.size()) {  // an idle stream lives long
    body_.clear();
    event_ = seen_ = 0;
  }
  raw_ += bytes;
  if (state_ == State::kHead) ReadHead();
  ReadBody();
}

void HttpAnswer::End() {
  if (state_ == State::kToEnd) {
    state_ = State::kComplete;
  } else if (state_ != State::kComplete) {
    state_ = State::kBroken;
  }
}

std::optional<std::string_view> HttpAnswer::Line() {
  const size_t end = raw_.find('\n', at_);
  if (end == std::string::npos) return std::nullopt;
  std::string_view line = std::string_view(raw_).substr(at_, end - at_);
  at_ = end + 1;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

void HttpAnswer::ReadHead() {
  if (raw_.find("\r\n\r\n") == std::string::npos) return;
  const std::string_view first = *Line();
  if (first.substr(0, 5) != "HTTP/" || first.size() < 12) {
    state_ = State::kBroken;
    return;
  }
  status_ = std::atoi(std::string(first.substr(9, 3)).c_str());
  state_ = State::kToEnd;
  for (std::string_view line = *Line(); !line.empty(); line = *Line()) ReadField(line);
  if (status_ == 204 || status_ == 304) left_ = 0, state_ = State::kLength, chunked_ = false;
  if (chunked_) state_ = State::kChunkSize;
  closes_ = closes_ || state_ == State::kToEnd;
}

void HttpAnswer::ReadField(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  if (SameName(name, "content-length")) {
    left_ = std::strtoull(std::string(value).c_str(), nullptr, 10);
    state_ = State::kLength;
  } else if (SameName(name, "transfer-encoding")) {
    chunked_ = SameName(value, "chunked");
  } else if (SameName(name, "content-type")) {
    stream_ = value.substr(0, 17) == "text/event-stream";
  } else if (SameName(name, "connection")) {
    closes_ = SameName(value, "close");
  } else if (SameName(name, "mcp-session-id")) {
    session_ = value;
  } else if (SameName(name, "retry-after")) {
    retry_after_ = true;
  }
}

void HttpAnswer::ReadBody() {
  while (true) {
    switch (state_) {
      case State::kHead:
      case State::kComplete:
      case State::kBroken:
        return;
      case State::kToEnd:
        body_ += Rest();
        at_ = raw_.size();
        return;
      case State::kLength:
      case State::kChunk: {
        const std::string_view part = Rest().substr(0, left_);
        body_ += part;
        at_ += part.size();
        left_ -= part.size();
        if (left_ > 0) return;
        state_ = state_ == State::kLength ? State::kComplete : State::kChunkEnd;
        break;
      }
      case State::kChunkSize: {
        const auto line = Line();
        if (!line) return;
        left_ = std::strtoull(std::string(*line).c_str(), nullptr, 16);
        state_ = left_ == 0 ? State::kTrailer : State::kChunk;
        break;
      }
      case State::kChunkEnd:
        if (!Line()) return;
        state_ = State::kChunkSize;
        break;
      case State::kTrailer: {
        const auto line = Line();
        if (!line) return;
        if (line->empty()) state_ = State::kComplete;
        break;
      }
    }
  }
}

std::optional<std::string_view> HttpAnswer::Next() {
  if (!stream_) {
    if (!complete() || body_.empty() || taken_) return std::nullopt;
    taken_ = true;
    return body_;
  }
  constexpr std::string_view kData = "data:";
  while (true) {  // a line of the event stream; an event of the bench has one line of data
    const size_t end = body_.find('\n', std::max(event_, seen_));
    seen_ = body_.size();
    if (end == std::string::npos) return std::nullopt;
    std::string_view line = std::string_view(body_).substr(event_, end - event_);
    event_ = seen_ = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.substr(0, kData.size()) != kData) continue;
    line.remove_prefix(std::min(line.find_first_not_of(' ', kData.size()), line.size()));
    if (!line.empty()) return line;
  }
}

}  // namespace mcpfleet::bench
