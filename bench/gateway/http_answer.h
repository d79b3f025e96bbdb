// One HTTP/1.1 answer, read in pieces, and the JSON-RPC messages in it: the body of an application/json answer, or the
// events of a text/event-stream. As strict as the bench needs: what it can't read is a failed call.
//
// Feed() what was received, then take messages with Next() until there is none. A message is valid until the next
// Feed(). Linear in the size of the answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mcpfleet::bench {

class HttpAnswer {
 public:
  void Feed(std::string_view bytes);
  // The connection has ended: the end of an answer without a length, an error for any other.
  void End();
  std::optional<std::string_view> Next();
  void Clear();  // for the next answer; keeps its buffers

  bool begun() const { return begun_; }
  bool has_head() const { return state_ != State::kHead; }
  bool complete() const { return state_ == State::kComplete; }
  bool broken() const { return state_ == State::kBroken; }
  int status() const { return status_; }
  bool stream() const { return stream_; }  // text/event-stream
  bool closes() const { return closes_; }  // the connection can't be used again
  bool retry_after() const { return retry_after_; }
  const std::string& session() const { return session_; }

 private:
  enum class State { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer, kToEnd, kComplete, kBroken };

  void ReadHead();
  void ReadField(std::string_view line);
  void ReadBody();
  // Takes the next line of raw_, without its end; nullopt: not there yet.
  std::optional<std::string_view> Line();
  std::string_view Rest() const { return std::string_view(raw_).substr(at_); }

  State state_ = State::kHead;
  bool begun_ = false, stream_ = false, closes_ = false, retry_after_ = false, chunked_ = false, taken_ = false;
  int status_ = 0;
  std::string session_;
  size_t left_ = 0;  // of the body or the chunk
  std::string raw_;  // received, from at_ on not yet understood
  size_t at_ = 0;
  std::string body_;             // decoded; a stream's: from event_ on not yet given out
  size_t event_ = 0, seen_ = 0;  // seen_: how far the end of the event was looked for
};

}  // namespace mcpfleet::bench
