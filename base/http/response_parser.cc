#include "base/http/response_parser.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace mcpfleet::http {

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

bool IsFieldValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

namespace {

constexpr size_t kChunkLineBytes = 4096;  // size and extensions; nobody sends more than a few digits

std::optional<uint64_t> ParseNumber(std::string_view text, unsigned base, size_t digits) {
  if (text.empty() || text.size() > digits) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    unsigned digit = 99;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

bool HasListItem(const Headers& headers, std::string_view name, std::string_view item) {
  for (const auto& [key, value] : headers.fields()) {
    if (!EqualsIgnoreCase(key, name)) continue;
    for (const std::string& part : Split(value, ',')) {
      if (EqualsIgnoreCase(Trim(part), item)) return true;
    }
  }
  return false;
}

}  // namespace

Status ResponseParser::Feed(std::string_view bytes) {
  buffer_.append(bytes);
  std::string_view rest = buffer_;
  for (;;) {
    StatusOr<bool> more = Step(&rest);
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  buffer_.erase(0, buffer_.size() - rest.size());
  return OkStatus();
}

Status ResponseParser::Eof() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  return done() ? OkStatus() : Unavailable("connection closed before the end of the response");
}

// False: more bytes are needed, or the message is complete.
StatusOr<bool> ResponseParser::Step(std::string_view* rest) {
  switch (state_) {
    case State::kHead:
      return StepHead(rest);
    case State::kLength:
    case State::kChunkBytes: {
      size_t n = static_cast<size_t>(std::min<uint64_t>(left_, rest->size()));
      RETURN_IF_ERROR(Append(rest->substr(0, n)));
      rest->remove_prefix(n);
      left_ -= n;
      if (left_ != 0) return false;
      state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
      return true;
    }
    case State::kChunkSize:
      return StepChunkSize(rest);
    case State::kChunkEnd:
      if (rest->size() < 2) return false;
      if (!rest->starts_with("\r\n")) return InvalidArgument("response: chunk without its end");
      rest->remove_prefix(2);
      state_ = State::kChunkSize;
      return true;
    case State::kTrailer:
      return StepTrailer(rest);
    case State::kUntilClose:
      RETURN_IF_ERROR(Append(*rest));
      *rest = {};
      return false;
    case State::kDone:
      return false;
  }
  return false;
}

StatusOr<bool> ResponseParser::StepHead(std::string_view* rest) {
  size_t end = rest->find("\r\n\r\n");
  size_t size = end == std::string_view::npos ? rest->size() : end + 4;
  if (header_total_ + size > options_.max_header) return ResourceExhausted("response: header larger than allowed");
  if (end == std::string_view::npos) {
    if (!rest->starts_with(std::string_view("HTTP/").substr(0, rest->size())))
      return InvalidArgument("response: not HTTP");
    return false;
  }
  header_total_ += size;
  RETURN_IF_ERROR(ParseHead(rest->substr(0, end)));
  rest->remove_prefix(size);
  return true;
}

Status ResponseParser::ParseHead(std::string_view text) {
  head_ = Response{};
  size_t eol = text.find("\r\n");
  std::string_view line = text.substr(0, eol);
  bool http10 = line.starts_with("HTTP/1.0 ");
  if (!http10 && !line.starts_with("HTTP/1.1 ")) return InvalidArgument("response: not HTTP/1.1");
  std::optional<uint64_t> status = line.size() >= 12 ? ParseNumber(line.substr(9, 3), 10, 3) : std::nullopt;
  if (!status || *status < 100 || (line.size() > 12 && line[12] != ' ') || !IsFieldValue(line)) {
    return InvalidArgument("response: malformed status line");
  }
  head_.status = static_cast<int>(*status);
  while (eol != std::string_view::npos) {
    text.remove_prefix(eol + 2);
    eol = text.find("\r\n");
    line = text.substr(0, eol);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)) || !IsFieldValue(line)) {
      return InvalidArgument("response: malformed header field");
    }
    head_.headers.Add(line.substr(0, colon), Trim(line.substr(colon + 1)));
  }
  return DecideFraming(http10);
}

Status ResponseParser::DecideFraming(bool http10) {
  int status = head_.status;
  if (status >= 100 && status < 200 && status != 101) return OkStatus();  // interim: the real head follows
  std::optional<uint64_t> length;
  for (const auto& [name, value] : head_.headers.fields()) {
    if (!EqualsIgnoreCase(name, "content-length")) continue;
    std::optional<uint64_t> n = ParseNumber(value, 10, 18);
    if (!n || (length && *length != *n)) return InvalidArgument("response: malformed Content-Length");
    length = n;
  }
  bool chunked = false;
  if (std::optional<std::string> encoding = head_.headers.Get("transfer-encoding")) {
    if (!EqualsIgnoreCase(*encoding, "chunked") || length || http10) {
      return InvalidArgument("response: Transfer-Encoding that is not understood");
    }
    chunked = true;
  }
  keep_alive_ = !http10 && !HasListItem(head_.headers, "connection", "close");
  left_ = 0;
  if (status == 101 || options_.head_request || status == 204 || status == 304) {
    state_ = State::kDone;
  } else if (chunked) {
    state_ = State::kChunkSize;
  } else if (length) {
    left_ = *length;
    if (left_ > options_.max_body) return ResourceExhausted("response: body larger than allowed");
    state_ = left_ == 0 ? State::kDone : State::kLength;
  } else {
    keep_alive_ = false;
    state_ = State::kUntilClose;
  }
  return OkStatus();
}

StatusOr<bool> ResponseParser::StepChunkSize(std::string_view* rest) {
  size_t eol = rest->substr(0, kChunkLineBytes).find("\r\n");
  if (eol == std::string_view::npos) {
    if (rest->size() >= kChunkLineBytes) return InvalidArgument("response: malformed chunk size");
    return false;
  }
  std::string_view line = rest->substr(0, eol);
  std::string_view digits = line.substr(0, line.find_first_of("; \t"));
  std::optional<uint64_t> size = ParseNumber(digits, 16, 15);
  if (!size) return InvalidArgument("response: malformed chunk size");
  rest->remove_prefix(eol + 2);
  left_ = *size;
  if (left_ > options_.max_body - body_total_) return ResourceExhausted("response: body larger than allowed");
  state_ = left_ == 0 ? State::kTrailer : State::kChunkBytes;
  return true;
}

// Trailer fields are read and forgotten.
StatusOr<bool> ResponseParser::StepTrailer(std::string_view* rest) {
  size_t eol = rest->find("\r\n");
  size_t size = eol == std::string_view::npos ? rest->size() : eol + 2;
  if (header_total_ + size > options_.max_header) return ResourceExhausted("response: trailer larger than allowed");
  if (eol == std::string_view::npos) return false;
  header_total_ += size;
  rest->remove_prefix(size);
  if (eol == 0) state_ = State::kDone;
  return true;
}

Status ResponseParser::Append(std::string_view bytes) {
  if (bytes.size() > options_.max_body - body_total_) return ResourceExhausted("response: body larger than allowed");
  body_total_ += bytes.size();
  body_.append(bytes);
  return OkStatus();
}

}  // namespace mcpfleet::http
