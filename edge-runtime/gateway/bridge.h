// Modern clients before a legacy server. The server has one handshake in its life and remembers what its client can do,
// so there is a child per kind of client: the same capabilities, the same subject (a *bridge lane*). Children are made
// when asked for and go when idle.
//
// What the server asks of its client (sampling, elicitation, roots) while a call is under way becomes `input_required`:
// the HTTP request is answered with the questions, the call stays open at the server, and the client's next request
// with the answers goes on with it (specification 2026-07-28, basic/patterns/mrtr). So that a question belongs to
// exactly one call, a lane whose client can be asked has one call at a time; others wait or get a lane of their own.
//
// subscriptions/listen is the gateway's: list changes and resource updates of any lane of the subject.
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

#include "edge-runtime/gateway/modern_calls.h"
#include "edge-runtime/gateway/modern_hub.h"
#include "edge-runtime/gateway/modern_server.h"

namespace mcpfleet::gateway {

struct BridgeSettings {
  bool shared = false;  // one lane for everybody, whose client offers nothing
  Duration idle_timeout = std::chrono::minutes(30);
  Duration max_lifetime = std::chrono::hours(12);
  Duration handshake_timeout = kHandshakeTimeout;
  size_t max_parked = 16;  // calls of one subject that wait for its answers
  ModernSettings modern = {};
};

// Sends `initialize` over a lane for a client that offers `capabilities` (raw), then notifications/initialized; the
// result, or why there is none, within `patience`.
void InitializeLane(Lane& lane, std::string_view capabilities, std::string_view client_info, Duration patience,
                    const std::function<void(StatusOr<Json> result)>& done);

class Bridge final : public ModernServer {
 public:
  // NewLink for one subject; "": for everybody.
  using NewLinkFor =
      std::function<void(const std::string& subject, std::function<void(StatusOr<std::unique_ptr<Link>>)> done)>;
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  Bridge(Loop& loop, const Clock& clock, const BridgeSettings& settings, NewLinkFor new_link, Inspect inspect)
      : loop_(loop), clock_(clock), settings_(settings), new_link_(std::move(new_link)), inspect_(std::move(inspect)) {}
  ~Bridge() override;

  void Call(ModernRequest request, std::unique_ptr<Answer> answer) override;
  size_t calls() const override { return calls_.size() + listeners_.size(); }
  void Tick(MonoTime now) override;
  bool EvictOne() override;
  size_t idle() const override;
  MonoTime OldestIdle() const override;
  size_t lanes() const { return lanes_.size(); }

 private:
  struct BridgeLane {
    std::string capabilities, subject;  // its key
    bool interactive = false;
    bool ready = false;
    bool restrained = false;     // its server waits for a client's connection
    std::shared_ptr<Lane> lane;  // null while it is opened
    Json initialize_result;
    std::string server_info;       // raw
    std::string level;             // of logging, raw
    std::set<uint64_t> active;     // calls at the server
    std::deque<uint64_t> waiting;  // calls that come after
    std::set<std::string> subscribed;
    MonoTime began{}, used{};
  };
  // What the server asks for a call's sake.
  struct Question {
    std::string id;              // the server's, raw
    std::string method, params;  // raw
  };
  struct OpenCall {
    ModernRequest request;
    std::unique_ptr<PendingCall> http;  // null while parked
    uint64_t lane = 0, lane_call = 0;
    std::map<std::string, Question> questions;  // by key
    std::string ticket;                         // of the input_required that is out: its requestState
    std::optional<Incoming> answer;             // came while it was parked
    std::vector<std::string> held;              // progress that came while it was parked
    std::string lacks;                          // a capability of the client that the server asked for in vain
    MonoTime parked{};
  };
  struct Listener {
    std::unique_ptr<PendingCall> http;
    std::string subject;
    std::set<std::string> methods;  // of notifications
    std::set<std::string> uris;
    uint64_t lane = 0;
    bool begun = false;  // acknowledged
  };

  // --- lanes (bridge_lanes.cc)
  uint64_t LaneFor(const ModernRequest& request);
  uint64_t OpenLane(const ModernRequest& request, std::string capabilities, std::string subject);
  void OnLink(uint64_t lane, StatusOr<std::unique_ptr<Link>> link, const std::string& client_info);
  void OnInitialized(uint64_t lane, StatusOr<Json> result);
  void OnLaneClosed(uint64_t lane, const Status& why);
  void DispatchWaiting(uint64_t lane);
  void Dispatch(uint64_t number, uint64_t lane);
  void OnProgress(uint64_t number, std::string line);
  void Leave(uint64_t number);
  bool IsIdle(uint64_t number, const BridgeLane& lane) const;
  bool IsHeldUp(const BridgeLane& lane) const;
  void Restrain(uint64_t lane, PendingCall& http);
  void Reassign();
  void OnNotification(uint64_t lane, const Incoming& message);
  void OnRequest(uint64_t lane, const Incoming& message);
  // --- calls
  void OnAnswer(uint64_t number, Incoming answer);
  void FinishWith(uint64_t number, const Incoming& answer);
  void Fail(uint64_t number, int status, int64_t code, std::string_view message);
  void AskClient(uint64_t number);
  // Lets the oldest parked call of the subject go when it has as many as it may have.
  void MakeRoomToPark(const std::string& subject);
  void GiveUp(uint64_t number, const char* why);
  void Resume(ModernRequest request, std::unique_ptr<Answer> answer);
  std::unique_ptr<PendingCall> Pend(uint64_t number, const ModernRequest& request, std::unique_ptr<Answer> answer);
  void Listen(const ModernRequest& request, std::unique_ptr<Answer> answer);
  void BeginListening(uint64_t number);
  void EndListening(uint64_t number, const Status& why);
  // Takes back subscriptions to resources that nobody listens to any more.
  void DropSubscriptions(uint64_t lane);

  const Self<Bridge> self_{this};
  Loop& loop_;
  const Clock& clock_;
  const BridgeSettings settings_;
  const NewLinkFor new_link_;
  const Inspect inspect_;
  std::map<uint64_t, BridgeLane> lanes_;
  std::map<uint64_t, OpenCall> calls_;
  std::map<uint64_t, Listener> listeners_;
  uint64_t next_ = 1;  // of lanes, calls and listeners
};

}  // namespace mcpfleet::gateway
