#include "edge-runtime/gateway/modern_calls.h"

#include <algorithm>
#include <vector>

namespace mcpfleet::gateway {
namespace {

constexpr Duration kKeepAlive = std::chrono::seconds(20);
constexpr std::string_view kTimedOut = R"("timed out")";

}  // namespace

int StatusOfAnswer(const Incoming& answer) {
  if (answer.envelope.kind != mcp::MessageKind::kError) return 200;
  const std::string_view code = answer.Part(mcp::FindMember(answer.text, answer.envelope.error, "code"));
  if (code == std::to_string(mcp::kMethodNotFound)) return 404;
  const bool refusal = code == std::to_string(mcp::kMissingClientCapability) ||
                       code == std::to_string(mcp::kUnsupportedProtocolVersion) ||
                       code == std::to_string(mcp::kHeaderMismatch);
  return refusal ? 400 : 200;
}

void RefuseListen(const Incoming& message, Answer& answer) {
  answer.AddHeader("Retry-After", "60");
  answer.Json(
      429, ErrorText(message.Part(message.envelope.id), mcp::kInternalError, "too many subscriptions of this client"));
}

PendingCall::PendingCall(std::unique_ptr<Answer> answer, const ModernRequest& request, MonoTime now)
    : id_(request.message.Part(request.message.envelope.id)),
      listens_(request.message.envelope.method == "subscriptions/listen"),
      subject_(request.subject),
      answer_(std::move(answer)),
      began_(now),
      progressed_(now),
      said_(now) {}

void PendingCall::Notify(std::string_view line, MonoTime now) {
  progressed_ = said_ = now;
  answer_->Event(std::string(line));
}

void PendingCall::Finish(int status, std::string text) {
  if (!answer_->streaming() && status == 503) answer_->AddHeader("Retry-After", "10");
  if (!answer_->streaming()) return answer_->Json(status, std::move(text));
  answer_->Event(std::move(text));
  answer_->End();
}

void PendingCall::EndWithServer(std::string_view why) {
  if (!listens_ || !begun()) return Finish(503, ErrorText(id_, mcp::kInternalError, why));
  Finish(200,
         ResultText(id_, R"({"resultType":"complete","_meta":{)" + mcp::Quote(kMetaSubscription) + ":" + id_ + "}}"));
}

bool PendingCall::Tick(MonoTime now, const ModernSettings& settings) {
  if (now - said_ >= kKeepAlive) {
    said_ = now;
    answer_->BeginStream();
    answer_->KeepAlive();
  }
  return listens_ || (now - progressed_ < settings.call_timeout && now - began_ < settings.call_limit);
}

ModernPassage::~ModernPassage() {
  for (const auto& [number, call] : calls_) {
    hub_->Cancel(number);
    call->EndWithServer("the server is gone");
  }
}

void ModernPassage::Call(ModernRequest request, std::unique_ptr<Answer> answer) {
  const Incoming& message = request.message;
  const std::string method = message.envelope.method;
  if (method == "subscriptions/listen" && ListensOf(request.subject) >= settings_.max_listens)
    return RefuseListen(message, *answer);
  if (const std::string why = names_.Refusal(message, request.subject); !why.empty()) {
    answer->Json(200, ErrorText(message.Part(message.envelope.id), mcp::kInvalidParams, why));
    return;
  }
  hub_->Touch(clock_.Now());
  auto call = std::make_unique<PendingCall>(std::move(answer), request, clock_.Now());
  // The number is known to the callbacks before any of them can come.
  const auto number = std::make_shared<uint64_t>(0);
  ModernHub::Caller caller{.id = call->id(),
                           .listens = call->listens(),
                           .wants_logs = !request.meta.log_level.empty(),
                           .message = self_.Bind([number](ModernPassage& self, const std::string& line) {
                             auto it = self.calls_.find(*number);
                             if (it != self.calls_.end()) it->second->Notify(line, self.clock_.Now());
                           }),
                           .answer = self_.Bind([number, method](ModernPassage& self, Incoming reply) {
                             self.OnAnswer(*number, method, std::move(reply));
                           })};
  *number = hub_->Request(std::move(request.message), {}, std::move(caller));
  call->OnGone(self_.Bind([number](ModernPassage& self) {
    self.hub_->Cancel(*number);
    self.calls_.erase(*number);
  }));
  calls_[*number] = std::move(call);
}

size_t ModernPassage::ListensOf(const std::string& subject) const {
  const auto same = [&](const auto& each) { return each.second->listens() && each.second->subject() == subject; };
  return static_cast<size_t>(std::count_if(calls_.begin(), calls_.end(), same));
}

void ModernPassage::OnAnswer(uint64_t number, const std::string& method, Incoming answer) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  const std::unique_ptr<PendingCall> call = std::move(it->second);
  calls_.erase(it);
  if (call->listens()) {
    // The subscription has ended, with the server or by its word; its id is the client's everywhere.
    if (answer.envelope.kind == mcp::MessageKind::kResult) {
      const mcp::Span meta = mcp::FindMember(answer.text, answer.envelope.result, "_meta");
      const mcp::Span subscription = mcp::FindMember(answer.text, meta, kMetaSubscription);
      std::vector<mcp::Edit> edits = {{answer.envelope.id, call->id()}};
      if (subscription) edits.push_back({subscription, call->id()});
      return call->Finish(200, mcp::ApplyEdits(answer.text, std::move(edits)));
    }
    if (call->begun()) return call->EndWithServer("");
    const int refused = StatusOfAnswer(answer);
    return call->Finish(refused, std::move(answer).WithId(call->id()));
  }
  names_.Note(answer, call->subject());
  if (inspect_) inspect_(method, &answer);
  std::vector<mcp::Edit> edits;
  if (method == "server/discover") edits = OurVersions(answer);
  edits.push_back({answer.envelope.id, call->id()});
  const int status = StatusOfAnswer(answer);
  mcp::EditInPlace(&answer.text, std::move(edits));
  call->Finish(status, std::move(answer.text));
}

void ModernPassage::Tick(MonoTime now) {
  std::vector<uint64_t> late;
  for (const auto& [number, call] : calls_) {
    if (!call->Tick(now, settings_)) late.push_back(number);
  }
  for (uint64_t number : late) {
    hub_->Cancel(number, kTimedOut);
    const std::unique_ptr<PendingCall> call = std::move(calls_[number]);
    calls_.erase(number);
    call->Finish(200, ErrorText(call->id(), mcp::kInternalError, "the server did not answer in time"));
  }
}

}  // namespace mcpfleet::gateway
