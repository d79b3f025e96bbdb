// One session of a client of the legacy era (revisions up to 2025-11-25): its streams, its calls, and what it may ask
// for again. Specification 2025-11-25, basic/transports.
//
// Each message goes on exactly one stream: answers and progress on the stream of their POST (or what resumed it),
// what a call caused on the stream of a call under way, the rest on the GET stream. A client that loses its connection
// has cancelled nothing: calls go on, and their events are kept.
//
// A session of HTTP+SSE (revision 2024-11-05) has one stream, which everything goes to and which it ends with: POSTs
// are answered 202, nothing is kept for a client that comes back, or for a later mcplet.
//
// A stream is numbered when it begins; 0 is the GET stream. On the gateway's loop only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/conversation.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/gateway/resume_buffer.h"
#include "edge-runtime/gateway/settings.h"

namespace mcpfleet::gateway {

class LegacySession : public std::enable_shared_from_this<LegacySession> {
 public:
  struct Events {
    std::function<void()> closed;  // the server's side is over: the session is of no more use
  };
  // What the mcplet before this one left.
  struct Kept {
    std::string version;
    uint64_t incarnation = 0;
    std::vector<SessionCall> calls;  // under way
    std::vector<SessionCall> lost;   // their answers came, and went with that mcplet
    struct Question {                // that the client may not have got
      EventId at;
      std::string line;
    };
    std::vector<Question> questions;
  };

  LegacySession(std::string id, std::string subject, const SessionSettings& settings, Loop& loop, const Clock& clock);

  // The server's side, once. Messages that were posted before wait for it.
  void Connect(std::unique_ptr<Conversation> conversation, Events events);
  // A session of the mcplet before: its streams go on behind what that one sent, its calls are still to be answered.
  void Continue(Kept kept);

  // Makes it a session of HTTP+SSE, right behind Connect. `endpoint`: where its client POSTs.
  void OpenStream(std::string_view endpoint, std::unique_ptr<Answer> answer);
  // HTTP+SSE: an answer that is not the server's.
  void Say(std::string line);

  struct Rest {
    std::shared_ptr<void> admitted;    // held until the calls are over, wherever their client is by then
    std::vector<std::string> refused;  // of a batch: answers to the requests that may not reach the server
  };
  // Messages of one POST that passed the rules for requests: one, or a batch.
  void Post(std::vector<Incoming> messages, std::unique_ptr<Answer> answer, Rest rest = {});
  void Get(const std::optional<EventId>& last, std::unique_ptr<Answer> answer);
  // Ends the server's side and every stream.
  void Close();
  void Release();

  const std::string& id() const { return id_; }
  const std::string& hash() const { return hash_; }  // of the id, for logs
  const std::string& subject() const { return subject_; }
  const std::string& version() const { return version_; }
  bool closed() const { return closed_; }
  bool one_stream() const { return one_stream_; }
  size_t calls() const { return calls_.size(); }
  bool HasCall(std::string_view client_id) const;
  // The last request, or event that was handed to a connection.
  MonoTime last_used() const { return last_used_; }
  MonoTime began() const { return began_; }
  // Keep-alives, time-outs, old events. Call it every few seconds.
  void Tick(MonoTime now);

 private:
  struct Stream {
    std::unique_ptr<Answer> answer;  // null: no connection
    uint64_t next = 1;               // sequence of the next event
    uint64_t sent = 0;               // the last one handed to a connection
    std::set<uint64_t> calls;        // not answered yet
    bool begun = false;              // it is an event stream (else the answer may still be one JSON body)
    std::shared_ptr<void> admitted;  // ends with the stream's last call
  };
  struct Call {
    uint64_t stream = 0;
    std::string client_id;
    MonoTime began{}, progressed{};
    bool initialize = false;
  };

  void Begin(const std::vector<Incoming>& messages, std::unique_ptr<Answer> answer, Rest rest);
  void BeginLateStreams();
  void Take(const Incoming& message, uint64_t stream);
  void TakeCancel(const Incoming& message);
  void OnToCall(uint64_t call, std::string line);
  void OnAnswer(uint64_t call, std::string line);
  void OnQuestion(uint64_t call, std::string line, const Conversation::Placed& placed);
  void OnToSession(std::string line, Conversation::About about);
  void OnClosed();
  bool ReadVersion(const std::string& line);

  // Lets the server wait while a connection has more than a window to take.
  void Restrain(Answer* answer);
  void Emit(uint64_t stream, std::string line);
  void BeginEvents(uint64_t number, Stream* stream);
  void EndCall(uint64_t call, std::optional<std::string> line);
  void Attach(uint64_t number, Stream* stream, std::unique_ptr<Answer> answer);
  void Detach(uint64_t number, const Answer* which);
  // The stream for what no call is known to have caused.
  uint64_t StreamFor(Conversation::About about) const;
  bool Primes() const;

  const std::string id_, hash_, subject_;
  const SessionSettings settings_;
  Loop& loop_;
  const Clock& clock_;
  std::string version_;
  std::unique_ptr<Conversation> conversation_;
  Events events_;
  struct Waiting {
    std::vector<Incoming> messages;
    std::unique_ptr<Answer> answer;
    Rest rest;
  };
  std::vector<Waiting> waiting_;  // for the server's side
  std::map<uint64_t, Stream> streams_;
  std::deque<std::pair<MonoTime, uint64_t>> undecided_;  // streams that may still be one JSON body, and until when
  std::map<uint64_t, Call> calls_;
  std::map<std::string, uint64_t, std::less<>> by_client_id_;
  uint64_t next_stream_ = 1, next_call_ = 1, first_sequence_ = 1;
  ResumeBuffer resume_;
  MonoTime began_, last_used_, kept_alive_;
  bool closed_ = false, one_stream_ = false;
  bool restrained_ = false;  // its server waits for a connection
};

}  // namespace mcpfleet::gateway
