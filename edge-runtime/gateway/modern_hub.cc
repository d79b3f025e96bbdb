#include "edge-runtime/gateway/modern_hub.h"

#include <utility>

#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/translation.h"

namespace mcpfleet::gateway {

uint64_t ModernHub::Request(Incoming message, std::vector<mcp::Edit> edits, Caller caller) {
  const uint64_t number = next_++;
  Waiting waiting{number, std::move(message), std::move(edits), std::move(caller)};
  if (lane_ != nullptr) {
    SendNow(std::move(waiting));
  } else if (waiting_.size() >= kMaxWaiting) {
    Refuse(number, waiting.caller, ResourceExhausted("too many requests wait for the server"));
  } else {
    waiting_.push_back(std::move(waiting));
    Open();
  }
  return number;
}

void ModernHub::Open() {
  if (std::exchange(opening_, true)) return;
  new_link_(self_.Bind([](ModernHub& self, StatusOr<std::unique_ptr<Link>> link) { self.OnLink(std::move(link)); }));
}

void ModernHub::OnLink(StatusOr<std::unique_ptr<Link>> link) {
  opening_ = false;
  std::deque<Waiting> waiting = std::exchange(waiting_, {});
  if (!link.ok()) {
    for (const Waiting& each : waiting) Refuse(each.number, each.caller, link.status());
    return;
  }
  lane_ = std::make_shared<Lane>(loop_, *std::move(link));
  lane_->Start(
      {.notification = self_.Bind([](ModernHub& self, Incoming message) { self.OnNotification(std::move(message)); }),
       .request = self_.Bind([](ModernHub& self, const Incoming& request) {
         if (self.lane_ == nullptr) return;
         (void)self.lane_->Send(ErrorText(request.Part(request.envelope.id), mcp::kMethodNotFound,
                                          "a server of 2026-07-28 may not send requests"));
       }),
       .closed = self_.Bind([](ModernHub& self, const Status&) { self.lane_.reset(); })});
  for (Waiting& each : waiting) SendNow(std::move(each));
}

void ModernHub::SendNow(Waiting waiting) {
  const uint64_t number = waiting.number;
  // The answer can't come before the call is known: it comes from the loop.
  const auto answered = self_.Bind([number](ModernHub& self, Incoming answer) {
    auto it = self.calls_.find(number);
    if (it == self.calls_.end()) return;
    const auto take = std::move(it->second.caller.answer);
    self.by_lane_call_.erase(it->second.lane_call);
    self.calls_.erase(it);
    take(std::move(answer));
  });
  const auto progressed = self_.Bind([number](ModernHub& self, std::string line) {
    auto it = self.calls_.find(number);
    if (it == self.calls_.end()) return;
    const auto message = it->second.caller.message;
    message(std::move(line));
  });
  const StatusOr<uint64_t> sent =
      lane_->Request(waiting.message.text, waiting.message.envelope, std::move(waiting.edits), {progressed, answered});
  if (!sent.ok()) return Refuse(number, waiting.caller, sent.status());
  by_lane_call_[*sent] = number;
  calls_[number] = {*sent, std::move(waiting.caller)};
}

void ModernHub::Refuse(uint64_t number, const Caller& caller, const Status& why) {
  Incoming answer{ErrorText("0", mcp::kInternalError, Message(why)), {}};
  answer.envelope = mcp::ReadEnvelope(answer.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
  calls_[number] = {0, caller};
  loop_.Post(self_.Bind([number, answer = std::move(answer)](ModernHub& self) {
    auto it = self.calls_.find(number);
    if (it == self.calls_.end()) return;
    const auto take = std::move(it->second.caller.answer);
    self.calls_.erase(it);
    take(answer);
  }));
}

void ModernHub::Cancel(uint64_t number, std::string_view reason) {
  std::erase_if(waiting_, [&](const Waiting& each) { return each.number == number; });
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  const uint64_t lane_call = it->second.lane_call;
  by_lane_call_.erase(lane_call);
  calls_.erase(it);
  if (lane_ != nullptr && lane_call != 0) lane_->Cancel(lane_call, reason);
}

void ModernHub::OnNotification(Incoming message) {
  const mcp::Span meta = mcp::FindMember(message.text, message.envelope.params, "_meta");
  const mcp::Span subscription = mcp::FindMember(message.text, meta, kMetaSubscription);
  if (subscription) {
    for (const auto& [lane_call, number] : by_lane_call_) {
      if (message.Part(subscription) != std::to_string(lane_call)) continue;
      const Caller& caller = calls_[number].caller;
      if (!caller.listens) return;
      const auto take = caller.message;
      return take(mcp::ApplyEdits(message.text, {{subscription, caller.id}}));
    }
    return;
  }
  if (message.envelope.method != "notifications/message") return;
  // Logs name no request: they are shown only where there is no doubt whose they are.
  const Caller* only = nullptr;
  for (const auto& [number, call] : calls_) {
    if (!call.caller.wants_logs) continue;
    if (only != nullptr) return;
    only = &call.caller;
  }
  if (only == nullptr) return;
  const auto take = only->message;
  take(std::move(message.text));
}

void ModernHub::CloseIdle() {
  if (calls() == 0) lane_.reset();
}

}  // namespace mcpfleet::gateway
