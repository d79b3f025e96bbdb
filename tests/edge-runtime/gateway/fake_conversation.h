// The server's side of a session as a test plays it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "edge-runtime/gateway/conversation.h"
#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway::test {

// The server's side as a test plays it.
struct Side {
  Conversation::Events events;
  std::vector<std::pair<SessionCall, Json>> requests;
  std::vector<Json> notified, replied;
  std::vector<std::pair<uint64_t, std::string>> cancelled;
  std::vector<bool> pauses;
  Status refusal = OkStatus();
  bool destroyed = false, released = false;

  const SessionCall& Call(size_t i) const { return requests.at(i).first; }
  void Answer(size_t i, const Json& result) {
    const SessionCall& call = Call(i);
    events.answer(call.call, R"({"jsonrpc":"2.0","id":)" + call.id + R"(,"result":)" + result.dump() + "}");
  }
  void ToCall(size_t i, const Json& message) { events.to_call(Call(i).call, message.dump()); }
  // Where it was placed.
  EventId Question(uint64_t call, const Json& message) {
    EventId placed;
    events.question(call, message.dump(), [&](const EventId& at) { placed = at; });
    return placed;
  }
  void ToSession(const Json& message, Conversation::About about) { events.to_session(message.dump(), about); }
};

class FakeConversation final : public Conversation {
 public:
  explicit FakeConversation(std::shared_ptr<Side> side) : side_(std::move(side)) {}
  ~FakeConversation() override {
    side_->destroyed = true;
    side_->events = {};
  }
  void Start(Events events) override { side_->events = std::move(events); }
  Status Request(const SessionCall& call, const Incoming& message) override {
    if (!side_->refusal.ok()) return side_->refusal;
    side_->requests.emplace_back(call, Json::parse(message.text));
    return OkStatus();
  }
  void Notify(const Incoming& message) override { side_->notified.push_back(Json::parse(message.text)); }
  void Reply(const Incoming& message) override { side_->replied.push_back(Json::parse(message.text)); }
  void Cancel(uint64_t call, std::string_view reason) override { side_->cancelled.emplace_back(call, reason); }
  void Pause(bool paused) override { side_->pauses.push_back(paused); }
  void Release() override { side_->released = true; }

 private:
  const std::shared_ptr<Side> side_;  // shared with the test
};

}  // namespace mcpfleet::gateway::test
