// Streamable HTTP as a link: each message is a POST, and what comes back in bodies and streams are lines.
//
// Legacy (2025-03-26 to 2025-11-25): the session that `initialize` opens is carried along, its GET stream is kept open
// where the server has one, a stream that broke is resumed by its last event id, and the end of the link deletes the
// session. Modern (2026-07-28, told by the _meta of each request): the headers repeat what is in the body, and a
// request is cancelled by closing its connection.
//
// Every request gets one answer line, of the server or, when HTTP fails, an error -32603 of ours; or on_closed comes.
// Messages of the handshake go one after the other, so do notifications and answers; requests go at once, at most
// OutboundQueue::kMaxRequests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/gateway/http_upstream.h"
#include "edge-runtime/gateway/outbound.h"
#include "edge-runtime/mcp/envelope.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet::gateway {

class HttpLink final : public Link {
 public:
  // A server that knows nothing of this transport.
  struct Refusal {
    std::vector<std::string> lines;  // not taken by the server: `initialize`, and what was sent after it
    std::string error_line;          // the answer to `initialize` if nobody has a better one
  };
  // upstream: shared with its other links. `refused`, when given, is called once, from the loop, instead of an error
  // for `initialize`; the link is of no use then.
  HttpLink(std::shared_ptr<HttpUpstream> upstream, std::function<void(Refusal)> refused);
  ~HttpLink() override;

  void Start(Events events) override;
  Status Send(std::string_view line) override;
  void Pause(bool paused) override;

 private:
  // A message under way.
  struct Post {
    Outbound message;
    std::unique_ptr<http::AsyncCall> call;
    bool owed = false;        // a request whose answer has not come
    bool in_session = false;  // the session's id went along
    bool barrier = false;     // nothing is sent until it is through
    int status = 0;
    std::string body;                      // of an answer that is no stream
    std::optional<mcp::SseParser> events;  // of one that is
    std::string last_event_id;
    int64_t retry_millis = -1;
    int attempts = 0;  // to resume, without an event in between
  };
  // The stream of a legacy session for what belongs to no request.
  struct ServerStream {
    std::unique_ptr<http::AsyncCall> call;
    std::optional<mcp::SseParser> events;
    std::string last_event_id;
    int64_t retry_millis = -1;
    int attempts = 0;
    MonoTime since{};
    bool none = false;  // the server has no such stream
  };

  void Hold(http::AsyncCall* call) const;
  bool TakeCancel(const Outbound& message);
  void Pump();
  void Begin(Outbound message);
  void PassBarrier(Post* post);
  void AddSession(http::Request* request) const;
  http::AsyncCallbacks Callbacks(uint64_t number);
  void OnHead(uint64_t number, const http::Response& head);
  void OnOneWayHead(Post* post);
  void TakeSession(const http::Response& head);
  void OnBody(uint64_t number, std::string_view bytes);
  void OnDone(uint64_t number, const Status& status);
  void JudgeBody(uint64_t number);
  void Refuse(uint64_t number, std::string error_line);

  // `number`: of the POST whose answer `text` is part of; 0: of none.
  void Take(std::string text, uint64_t number);
  void TakeMessage(std::string line, uint64_t number);
  void Answer(uint64_t number, std::string line, const mcp::Envelope& envelope);
  std::string NoteTools(std::string line, const mcp::Envelope& envelope);

  void OnBroken(uint64_t number, const Status& status);
  void Resume(uint64_t number);
  void OnResumed(uint64_t number, const http::Response& head);
  void Fail(uint64_t number, const std::string& why);
  void EndAfter(uint64_t number, Duration delay);
  void End(uint64_t number);

  void OpenStream();
  void OnStreamHead(const http::Response& head);
  void OnStreamBody(std::string_view bytes);
  void OnStreamEnd();

  void Emit(std::string line);
  void Close(const Status& why);

  const std::shared_ptr<HttpUpstream> upstream_;
  const std::function<void(Refusal)> refused_;
  std::shared_ptr<Events> events_;                              // shared with what is posted
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: dies with us
  bool closed_ = false, paused_ = false;
  bool legacy_ = false;            // `initialize` was sent
  std::string session_, version_;  // of the legacy session
  OutboundQueue queue_;
  uint64_t last_post_ = 0;
  std::map<uint64_t, Post> posts_;
  std::map<std::string, uint64_t, std::less<>> owed_;  // raw id -> post
  ServerStream stream_;
};

}  // namespace mcpfleet::gateway
