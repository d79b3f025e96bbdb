// Sessions that have no child of their own (mode Shared, servers of the modern era, HTTP upstreams) over a restart of
// mcplet: a small file each, from the session's first words to its end. It outlives mcplet's process, not more: what a
// power failure leaves of it is of no use, for the servers are gone as well.
//
// On the gateway's loop only; writing goes to the page cache. A disk that takes nothing costs the kept sessions, never
// requests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/ports/desired_state.h"
#include "edge-runtime/gateway/conversation.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/gateway/self.h"
#include "edge-runtime/gateway/session_note.h"
#include "edge-runtime/gateway/settings.h"

namespace mcpfleet::gateway {

class KeptSessions {
 public:
  // Reads what the mcplet before left. `directory` is made when the first session is kept.
  explicit KeptSessions(std::string directory);
  // note: a SessionNote's text, of which a long one is not kept.
  void Save(const ServerKey& server, const std::string& session, const std::string& note);
  void Forget(const std::string& session);
  // Those of the mcplet before, each once.
  std::vector<SessionNote> Take(const ServerKey& server);

 private:
  std::string PathOf(const std::string& session) const;
  void Read(const std::string& path);

  const std::string directory_;
  std::map<ServerKey, std::vector<SessionNote>> found_;
  bool failed_ = false;  // the last Save; told once
};

// A server's side whose session is kept there. One of the mcplet before makes its handshake again before anything else
// is sent; its calls of then are over.
class KeptConversation final : public Conversation {
 public:
  // files: outlives it. note: of a fresh session only who it is.
  KeptConversation(Loop& loop, std::unique_ptr<Conversation> inner, KeptSessions& files, ServerKey server,
                   SessionNote note, Duration handshake_timeout = kHandshakeTimeout);
  ~KeptConversation() override;

  void Start(Events events) override;
  Status Request(const SessionCall& call, const Incoming& message) override;
  void Notify(const Incoming& message) override;
  void Reply(const Incoming& message) override { inner_->Reply(message); }
  void Cancel(uint64_t call, std::string_view reason) override;
  void Pause(bool paused) override { inner_->Pause(paused); }
  void Tick() override;
  void Release() override;

 private:
  void Save();
  void Replay();
  void OnAnswer(uint64_t call, std::string line);
  void Over(uint64_t call);
  void OnReplayed(const std::string& line);
  Status Say(uint64_t call, const std::string& text);

  const Self<KeptConversation> self_{this};
  Loop& loop_;
  const std::unique_ptr<Conversation> inner_;
  KeptSessions& files_;
  const ServerKey server_;
  SessionNote note_;
  const Duration handshake_timeout_;
  Events events_;
  std::string fixed_;       // of the note; "": to be made anew
  size_t saved_calls_ = 0;  // that the file tells of
  bool replaying_ = false, released_ = false;
  std::vector<std::pair<SessionCall, Incoming>> queued_;  // meanwhile; requests are bounded by the session's calls
  size_t queued_notifications_ = 0;
};

}  // namespace mcpfleet::gateway
