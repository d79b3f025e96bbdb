// What is kept of a session of the legacy era for a later mcplet, and for a server that takes another's place: with the
// session's child (DirectConversation), or on disk where it has none of its own (KeptSessions).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/gateway/conversation.h"

namespace mcpfleet::gateway {

// The session's last answers, each as its stream and the client's id. That a connection took an answer does not say
// that the client has it: it may have left in that moment, or mcplet ends before the bytes do. A client that comes back
// for one of these to a later mcplet is told that it is lost, and one that has it never asks.
class RecentAnswers {
 public:
  struct Answered {
    uint64_t stream = 0;
    std::string id;  // raw
  };
  static constexpr size_t kMost = 128;
  static constexpr size_t kMostBytes = size_t{4} << 10;

  void Add(uint64_t stream, std::string_view id);
  // As JSON, oldest first.
  void AppendTo(std::string* text) const;
  std::vector<Answered> List() const;
  bool empty() const { return lengths_.empty(); }

 private:
  std::string text_;  // ",[7,"1"]" each: with each call all are written
  std::deque<size_t> lengths_;
};

// What is kept of a session. Text form: JSON, at most what Link::Keep takes.
struct SessionNote {
  // session "": it ends with this mcplet, and nothing is kept of it.
  std::string session, subject, version;
  uint64_t incarnation = 0;  // how many mcplets had it before
  std::string initialize, initialized, level;
  std::vector<std::string> subscriptions;
  uint64_t next_id = 1;  // of the lane
  struct Call {
    SessionCall call;
    std::string token, method;
  };
  std::map<uint64_t, Call> calls;  // by the lane's number
  RecentAnswers answered;
  // A request of the server that the client has not answered.
  struct Question {
    std::string id;  // the server's, raw
    EventId at;
    std::string line;  // as the client gets it; "": too long to be kept
    bool operator==(const Question&) const = default;
  };
  std::map<std::string, Question> asked;  // by our id
  uint64_t next_asked = 1;

  // Takes in what another server must be told again: the handshake, the log level, subscriptions. True when FixedText
  // changed.
  bool TakeIn(const Incoming& message);
  // Of the result of initialize.
  void TakeInVersion(const Incoming& answer);
  // Whether a question of that size still has its place.
  bool Keeps(size_t bytes) const;

  // In two parts: the second changes with each call.
  std::string FixedText() const;
  void AppendMoving(std::string* text) const;
  std::string ToText() const {
    std::string text = FixedText();
    AppendMoving(&text);
    return text;
  }
  // Nullopt when it is not a session's note.
  static std::optional<SessionNote> FromText(std::string_view text);
};

}  // namespace mcpfleet::gateway
