// How one request of an MCP client is answered over HTTP: with one JSON body, or, as soon as something else must go
// before the answer, as a stream of server-sent events. Once begun, a stream can't be taken back.
//
// On the gateway's loop only. An Answer that is destroyed unanswered answers 500.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/http/server.h"

namespace mcpfleet::gateway {

class Answer {
 public:
  // What is told when it is over: the HTTP status, and whether the client was still there.
  using Done = std::function<void(int status)>;
  // to: shared with the HTTP server.
  explicit Answer(std::shared_ptr<http::Responder> to) : to_(std::move(to)) {}
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  // A header of the answer to come, whatever it is.
  void AddHeader(std::string_view name, std::string_view value) { headers_.emplace_back(name, value); }
  // Called once, in the order they were added.
  void WhenDone(Done done) { done_.push_back(std::move(done)); }
  // The client has gone before the answer was complete. At most once, never from inside a method of this.
  void OnGone(std::function<void()> gone);

  // One body and the end. Nothing when it was answered before.
  void Json(int status, std::string body);
  void Empty(int status);
  // 202: what the client wants comes on a stream that it has already. Over with End.
  void Accept();
  // Begins a stream; true when it is one now.
  bool BeginStream();
  // An event of the stream, begun here if it was not. False when the client is gone or does not read.
  bool Event(std::string data, std::string_view id = "", std::string_view type = "message");
  // The priming event of revision 2025-11-25: an id, no data, and how long to wait before coming back.
  bool Prime(std::string_view id, int retry_ms);
  void KeepAlive();
  void End();
  // The client has gone before the end: over, as status 499.
  void Abandon();

  // Of the stream; see http::StreamWriter.
  size_t queued() const { return stream_ == nullptr ? 0 : stream_->queued(); }
  void OnDrained(size_t left, std::function<void()> drained) {
    if (stream_ != nullptr) stream_->OnDrained(left, std::move(drained));
  }

  bool streaming() const { return stream_ != nullptr; }
  // Nothing can be sent any more.
  bool over() const;
  const std::string& peer() const { return to_->peer().address; }

 private:
  void Finish(int status);

  std::shared_ptr<http::Responder> to_;
  std::shared_ptr<http::StreamWriter> stream_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::vector<Done> done_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by what may come after our end
  bool answered_ = false, accepted_ = false;
};

// "{"jsonrpc":"2.0","id":<id>,"error":{…}}"; `id` is a raw token, "" becomes null; `data` raw JSON or "".
std::string ErrorText(std::string_view id, int64_t code, std::string_view message, std::string_view data = "");
// "{"jsonrpc":"2.0","id":<id>,"result":<result>}"; both raw.
std::string ResultText(std::string_view id, std::string_view result);

}  // namespace mcpfleet::gateway
