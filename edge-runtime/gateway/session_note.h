// What is kept of a session of the legacy era for a later mcplet, and for a server that takes another's place: with the
// session's child (DirectConversation), or on disk where it has none of its own (KeptSessions).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/gateway/conversation.h"

namespace mcpfleet::gateway {

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
  std::map<uint64_t, Call> calls;            // by the lane's number
  std::map<std::string, std::string> asked;  // requests of the server: our id -> its id, raw
  // Answers that wait for their client here: what a later mcplet says is that they are lost.
  struct Answered {
    uint64_t stream = 0;
    std::string id;
  };
  std::vector<Answered> undelivered;
  uint64_t next_asked = 1;

  // Takes in what another server must be told again: the handshake, the log level, subscriptions. True when FixedText
  // changed.
  bool TakeIn(const Incoming& message);
  // Of the result of initialize.
  void TakeInVersion(const Incoming& answer);
  void AddUndelivered(const SessionCall& call);
  bool DropUndelivered(uint64_t stream);

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
