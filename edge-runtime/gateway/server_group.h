// One instance of a server as the gateway uses it: its children, warm spares, and what is shared between clients. When
// a server gets another instance, it gets another group; the old one serves what it has until that is over.
//
// `sessions.max` bounds the children of the instance, starting and ending ones too. What does not fit takes the place
// of the conversation that was unused the longest, once its child is gone, or is refused (ResourceExhausted).
//
// Where the instance's kernel does not keep children apart, those of one subject are there at a time (tenants.h): what
// another one wants is refused (Aborted). Idle children of modern clients make way; sessions do not. No spares then.
//
// On the gateway's loop only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "controller/ports/gateway_servers.h"
#include "edge-runtime/gateway/children.h"
#include "edge-runtime/gateway/http_upstream.h"
#include "edge-runtime/gateway/modern_hub.h"
#include "edge-runtime/gateway/modern_server.h"
#include "edge-runtime/gateway/settings.h"
#include "edge-runtime/gateway/shared_server.h"
#include "edge-runtime/gateway/tenants.h"

namespace mcpfleet::gateway {

class ServerGroup {
 public:
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  struct Wiring {
    Loop& loop;
    const Clock& clock;
    Children& children;
    // Makes the upstream of an http transport or a remote server.
    std::function<StatusOr<std::shared_ptr<HttpUpstream>>(const ClientTarget&)> http_upstream;
    Inspect inspect;
    // Ends the session of this group that was unused the longest, of those without a call and unused since `before`;
    // false: there is none. What else is idle (`other`) goes only if it is older.
    std::function<bool(const ServerGroup* group, MonoTime other)> evict_session;
    Tenants& tenants;
    std::function<void()> not_isolated;  // one was refused for another subject's sake
    ModernSettings modern = {};
  };
  // How long what waits for room does so.
  static constexpr Duration kRoomTimeout = std::chrono::seconds(15);

  ServerGroup(Wiring wiring, ClientTarget target);

  // The spec or the argv may have changed; the instance has not.
  void SetTarget(ClientTarget target);
  const ClientTarget& target() const { return target_; }
  const std::string& instance() const { return target_.instance; }

  // A conversation of a subject's own with the server.
  void NewConversation(const std::string& subject, std::function<void(StatusOr<std::unique_ptr<Link>>)> done);
  // The server's side of a new legacy session without a link of its own; null: it needs one (NewConversation).
  std::unique_ptr<Conversation> SharedSide(const std::string& subject);
  ModernServer& modern();
  // Whether children of several subjects may be here at once.
  bool Apart() const;
  // Children of the mcplet before this one.
  std::vector<Children::Found> TakeFound();

  // Something about its children changed.
  void OnChildrenChanged();
  void Tick(MonoTime now);
  // Modern calls under way; sessions are the endpoint's.
  size_t calls() const { return modern_ == nullptr ? 0 : modern_->calls(); }
  int opening() const { return opening_; }
  // Whether Tick is needed.
  bool HasWork() const;
  // So many clients wait until it answers: their children begin to start beside its main one.
  void Expect(size_t conversations);
  // No warm spares any more: it only finishes what it has.
  void Retire();
  // The server sleeps: nothing runs that no client uses now. Until the next target.
  void Rest();
  bool retired() const { return retired_; }
  bool shared_mode() const;

 private:
  struct Waiting {
    std::string subject;
    std::function<void(StatusOr<std::unique_ptr<Link>>)> done;
    MonoTime until{};
  };
  using Done = std::function<void(StatusOr<std::unique_ptr<Link>>)>;
  bool HasRoom() const;
  Room RoomFor(const std::string& subject) const;
  bool LetIdleGo();
  void Spawn(const std::string& subject, Done done);
  int WantedSpares() const;
  void FillSpares();
  void Pump();
  void Post(const Done& done, Status why);
  void Begin(const std::string& subject, Done done);
  ModernHub& hub();

  const Self<ServerGroup> self_{this};
  const Wiring w_;
  ClientTarget target_;
  std::shared_ptr<HttpUpstream> upstream_;
  std::deque<std::unique_ptr<Link>> spares_;
  int spares_coming_ = 0;
  int expected_ = 0;  // conversations that will come once it is ready
  MonoTime spare_failed_{};
  std::deque<Waiting> waiting_;
  int opening_ = 0;  // conversations asked for and not there yet
  std::shared_ptr<ModernHub> hub_;
  std::shared_ptr<SharedServer> shared_;
  MonoTime shared_used_{};  // when a session was last there
  std::unique_ptr<ModernServer> modern_;
  bool retired_ = false;
};

}  // namespace mcpfleet::gateway
