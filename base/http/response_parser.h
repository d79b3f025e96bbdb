// Turns the bytes of an HTTP/1.1 response into head and body, piece by piece, without I/O. Strict: line ends are CRLF,
// no folded fields, one length only, sizes bounded. Interim (1xx) heads are skipped, 101 ends the message.
//
//   ResponseParser parser({.head_request = false, .max_header = 32768, .max_body = 1 << 20});
//   while (!parser.done()) RETURN_IF_ERROR(parser.Feed(bytes from the wire));
//
// Not thread-safe. Errors: InvalidArgument (not HTTP), ResourceExhausted (larger than a limit).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/http/message.h"
#include "base/status.h"

namespace mcpfleet::http {

bool IsToken(std::string_view text);       // RFC 9110 5.6.2, not empty
bool IsFieldValue(std::string_view text);  // no control characters but tab

class ResponseParser {
 public:
  struct Options {
    bool head_request = false;
    size_t max_header = size_t{32} << 10;
    size_t max_body = SIZE_MAX;  // of the whole body, also where it is taken in pieces
  };
  explicit ResponseParser(Options options) : options_(options) {}

  Status Feed(std::string_view bytes);
  // The connection ended: OK where that ends the body, else Unavailable.
  Status Eof();

  bool head_done() const { return state_ != State::kHead; }
  bool done() const { return state_ == State::kDone; }
  // The connection may carry another request. Meaningful when done.
  bool keep_alive() const { return keep_alive_ && buffer_.empty(); }
  Response& head() { return head_; }
  // What arrived of the body since the last call.
  std::string TakeBody() { return std::exchange(body_, {}); }
  // Bytes behind the message.
  std::string TakeLeftover() { return std::exchange(buffer_, {}); }

 private:
  enum class State { kHead, kLength, kChunkSize, kChunkBytes, kChunkEnd, kTrailer, kUntilClose, kDone };
  StatusOr<bool> Step(std::string_view* rest);
  StatusOr<bool> StepHead(std::string_view* rest);
  StatusOr<bool> StepChunkSize(std::string_view* rest);
  StatusOr<bool> StepTrailer(std::string_view* rest);
  Status ParseHead(std::string_view text);
  Status DecideFraming(bool http10);
  Status Append(std::string_view bytes);

  const Options options_;
  State state_ = State::kHead;
  std::string buffer_;  // not yet understood
  Response head_;
  std::string body_;
  uint64_t left_ = 0;  // of the body, or of the chunk
  uint64_t body_total_ = 0;
  size_t header_total_ = 0;  // interim heads and trailers count too
  bool keep_alive_ = true;
};

}  // namespace mcpfleet::http
