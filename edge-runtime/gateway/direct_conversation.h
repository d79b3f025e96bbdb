// A legacy session with a server of its own: everything the client says goes to that server, only ids change. When the
// server's process dies and the session is resumable, another one takes its place: it gets the client's handshake, log
// level and subscriptions again, and the session goes on; calls under way fail.
//
// What a later mcplet needs to go on is kept with the child (Link::Keep): that a call is under way once its request was
// sent, so that nobody waits for an answer to what never was; and that it is answered before its line is taken off the
// journal (ShimChannel), so that nobody waits for a line that will not come again. In between are only a request whose
// answer nobody knows of, and an answer that comes twice: both are dropped.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "edge-runtime/gateway/conversation.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/gateway/self.h"
#include "edge-runtime/gateway/session_note.h"
#include "edge-runtime/gateway/settings.h"

namespace mcpfleet::gateway {

class DirectConversation final : public Conversation {
 public:
  // Filters what the server lists; gets the method and the answer, may change it.
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  // Another server for a resumable session; `done` once.
  using Relink = std::function<void(std::function<void(StatusOr<std::unique_ptr<Link>>)> done)>;
  struct Options {
    Inspect inspect;                                 // may be null
    Relink relink;                                   // null: the session ends with its server
    Duration handshake_timeout = kHandshakeTimeout;  // of a successor
  };
  static constexpr int kMaxRelinks = 3;  // without a call answered in between

  // note: of a fresh session only who it is. A kept one goes on with its calls; `doubtful_line` fails.
  DirectConversation(Loop& loop, std::unique_ptr<Link> link, SessionNote note, std::string doubtful_line,
                     Options options);
  ~DirectConversation() override;

  void Start(Events events) override;
  Status Request(const SessionCall& call, const Incoming& message) override;
  void Notify(const Incoming& message) override;
  void Reply(const Incoming& message) override;
  void Cancel(uint64_t call, std::string_view reason) override;
  void Pause(bool paused) override;
  void Tick() override;
  void Release() override;

 private:
  void Open(std::unique_ptr<Link> link);
  void Keep();
  void FailDoubtful(std::string_view line);
  void SendReplies();
  std::optional<SessionNote::Call> TakeOut(uint64_t lane_call);
  void OnAnswer(uint64_t lane_call, Incoming answer);
  void OnNotification(Incoming message);
  void OnRequest(const Incoming& message);
  void OnLaneClosed(const Status& why);
  void TakeSuccessor(StatusOr<std::unique_ptr<Link>> link);
  void Replay();
  void OnReplayed(const Incoming& answer);
  std::string ClientIdOf(uint64_t lane_call) const;
  CallEvents EventsFor(uint64_t lane_call);

  const Self<DirectConversation> self_{this};
  Loop& loop_;
  std::unique_ptr<Link> first_link_;
  std::string doubtful_line_;
  SessionNote note_;
  const Options options_;
  Events events_;
  std::shared_ptr<Lane> lane_;
  std::string fixed_;                        // of the note; "": to be made anew
  std::map<uint64_t, uint64_t> lane_calls_;  // the session's call -> the lane's
  std::deque<std::string> replies_;  // of the client, that the server did not take yet; of questions, so bounded
  bool replaying_ = false;
  int relinks_ = 0;
  std::deque<std::pair<std::optional<SessionCall>, Incoming>> queued_;  // while a successor is made ready
};

}  // namespace mcpfleet::gateway
