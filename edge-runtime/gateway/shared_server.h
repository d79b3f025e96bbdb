// `sessions.mode: Shared` for a legacy server: one child for all sessions. The gateway makes the one handshake, for a
// client that offers nothing; sessions get its result, and share what the child remembers.
//
// What belongs to nobody in particular goes to every session once (list changes) or to those that subscribed; logs go
// where one session alone is under way, and from the level on that it asked for. The child's own requests are refused:
// nobody is there to answer them.
//
// On the gateway's loop only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "edge-runtime/gateway/conversation.h"
#include "edge-runtime/gateway/modern_hub.h"
#include "edge-runtime/gateway/settings.h"
#include "edge-runtime/gateway/subject.h"
#include "edge-runtime/gateway/subject_book.h"

namespace mcpfleet::gateway {

class SharedConversation;

class SharedServer {
 public:
  SharedServer(Loop& loop, NewLink new_link, Duration handshake_timeout = kHandshakeTimeout)
      : loop_(loop), new_link_(std::move(new_link)), handshake_timeout_(handshake_timeout) {}
  bool used() const { return !sessions_.empty(); }
  // Lets the child go when no session is there; the next one starts another.
  void CloseIdle();

 private:
  friend class SharedConversation;
  void Join(SharedConversation* session);
  void Leave(SharedConversation* session);
  void Open();
  // The lane, or null while it is opened or gone.
  Lane* lane() { return ready_ ? lane_.get() : nullptr; }
  void OnLink(StatusOr<std::unique_ptr<Link>> link);
  void OnInitialized(StatusOr<Json> result);
  void OnNotification(const Incoming& message);
  void End(const Status& why);
  // The child logs what the session that wants most of it asked for.
  void ApplyLevel();
  // Upstream subscriptions follow what sessions want, 0 to 1 and 1 to 0.
  bool Subscribe(const std::string& uri, SharedConversation* session);
  bool Unsubscribe(const std::string& uri, SharedConversation* session);

  const Self<SharedServer> self_{this};
  Loop& loop_;
  const NewLink new_link_;
  const Duration handshake_timeout_;
  std::shared_ptr<Lane> lane_;
  static constexpr int kMaxRestarts = 3;  // without a call answered in between
  bool opening_ = false, ready_ = false;
  int restarts_ = 0;
  Json initialize_result_;
  std::optional<size_t> level_;  // that the child was told
  std::set<SharedConversation*> sessions_;
  std::map<std::string, std::set<SharedConversation*>> subscribers_;
  SubjectBook names_;
};

class SharedConversation final : public Conversation {
 public:
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  static constexpr size_t kMaxWaiting = 64;
  static constexpr size_t kMaxSubscriptions = 256;

  // server: shared by its sessions.
  SharedConversation(Loop& loop, std::shared_ptr<SharedServer> server, Inspect inspect,
                     std::string subject = Subject().id)
      : loop_(loop), server_(std::move(server)), inspect_(std::move(inspect)), subject_(std::move(subject)) {}
  ~SharedConversation() override;

  void Start(Events events) override;
  Status Request(const SessionCall& call, const Incoming& message) override;
  void Notify(const Incoming&) override {}  // the handshake was the gateway's, and nothing else concerns a shared child
  void Reply(const Incoming&) override {}   // nothing is ever asked
  void Cancel(uint64_t call, std::string_view reason) override;

 private:
  friend class SharedServer;
  void OnReady();
  void OnEnded(const Status& why);
  void Say(std::string line, About about);
  void Answer(const SessionCall& call, std::string_view result);
  void Subscribe(const SessionCall& call, const Incoming& message);
  bool SetLevel(const SessionCall& call, const Incoming& message);

  const Self<SharedConversation> self_{this};
  Loop& loop_;
  const std::shared_ptr<SharedServer> server_;
  const Inspect inspect_;
  const std::string subject_;
  Events events_;
  std::deque<std::pair<SessionCall, Incoming>> waiting_;
  std::map<uint64_t, std::pair<SessionCall, uint64_t>> calls_;  // -> the lane's
  size_t subscriptions_ = 0;
  std::optional<size_t> level_;  // of logs, once it asked for one
  bool ended_ = false;
};

}  // namespace mcpfleet::gateway
