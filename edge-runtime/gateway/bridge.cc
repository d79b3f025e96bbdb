#include "edge-runtime/gateway/bridge.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxCalls = 1024;
constexpr size_t kMaxUris = 256;

// What a retry must repeat of the request that it goes on with.
std::string Digest(const Incoming& message) {
  StatusOr<Json> params = ParseJson(message.Part(message.envelope.params));
  if (!params.ok() || !params->is_object()) return message.envelope.method;
  for (const char* member : {"_meta", "inputResponses", "requestState"}) params->erase(member);
  return Sha256Hex(message.envelope.method + "\n" + DumpJson(*params));
}

bool Flag(const Incoming& message, mcp::Span wanted, std::string_view name) {
  return message.Part(mcp::FindMember(message.text, wanted, name)) == "true";
}

}  // namespace

Bridge::~Bridge() {
  for (auto& [number, call] : calls_) {
    if (call.http != nullptr) call.http->EndWithServer("the server is gone");
  }
  for (auto& [number, listener] : listeners_) listener.http->EndWithServer("the server is gone");
}

std::unique_ptr<PendingCall> Bridge::Pend(uint64_t number, const ModernRequest& request,
                                          std::unique_ptr<Answer> answer) {
  auto pending = std::make_unique<PendingCall>(std::move(answer), request, clock_.Now());
  pending->OnGone(self_.Bind([number, which = pending.get()](Bridge& self) {
    // The client went away: that is its cancellation.
    if (auto listener = self.listeners_.find(number); listener != self.listeners_.end()) {
      const uint64_t lane = listener->second.lane;
      self.listeners_.erase(listener);
      return self.DropSubscriptions(lane);
    }
    auto it = self.calls_.find(number);
    if (it == self.calls_.end() || it->second.http.get() != which) return;
    self.Leave(number);
    if (auto lane = self.lanes_.find(it->second.lane); lane != self.lanes_.end() && lane->second.lane) {
      for (const auto& [key, question] : it->second.questions)
        (void)lane->second.lane->Send(ErrorText(question.id, mcp::kInternalError, "the client has gone"));
      lane->second.lane->Cancel(it->second.lane_call);
    }
    self.calls_.erase(it);
  }));
  return pending;
}

void Bridge::Call(ModernRequest request, std::unique_ptr<Answer> answer) {
  const Incoming& message = request.message;
  if (message.envelope.method == "subscriptions/listen") return Listen(request, std::move(answer));
  // Answers without a state are to no question: a call like any other.
  if (mcp::FindMember(message.text, message.envelope.params, "requestState"))
    return Resume(std::move(request), std::move(answer));
  if (message.envelope.method.starts_with("tasks/")) {
    return answer->Json(404, ErrorText(message.Part(message.envelope.id), mcp::kMethodNotFound,
                                       "tasks of a legacy server are not offered in this era"));
  }
  if (calls_.size() >= kMaxCalls) {
    answer->AddHeader("Retry-After", "1");
    return answer->Json(
        503, ErrorText(message.Part(message.envelope.id), mcp::kInternalError, "too many requests are under way"));
  }
  const uint64_t number = next_++;
  OpenCall& call = calls_[number];
  call.http = Pend(number, request, std::move(answer));
  call.request = std::move(request);
  call.lane = LaneFor(call.request);
  lanes_[call.lane].waiting.push_back(number);
  DispatchWaiting(call.lane);
}

void Bridge::OnAnswer(uint64_t number, Incoming answer) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  OpenCall& call = it->second;
  call.lane_call = 0;
  call.questions.clear();  // whoever answers does not wait for answers
  if (call.http == nullptr) {
    Leave(number);
    call.answer = std::move(answer);  // for the client that comes back
    return;
  }
  if (!call.lacks.empty() && answer.envelope.kind == mcp::MessageKind::kError) {
    // It failed for want of what its client can't do: that has an answer of its own in this era.
    Leave(number);
    const OpenCall failed = std::move(it->second);
    calls_.erase(it);
    return failed.http->Finish(400, ErrorText(failed.http->id(), mcp::kMissingClientCapability,
                                              "Missing required client capability: " + failed.lacks,
                                              R"({"requiredCapabilities":{)" + mcp::Quote(failed.lacks) + ":{}}}"));
  }
  if (inspect_) inspect_(call.request.message.envelope.method, &answer);
  FinishWith(number, answer);
}

void Bridge::FinishWith(uint64_t number, const Incoming& answer) {
  auto it = calls_.find(number);
  Leave(number);
  const OpenCall call = std::move(it->second);
  calls_.erase(it);
  auto lane = lanes_.find(call.lane);
  const std::string info = lane == lanes_.end() ? "" : lane->second.server_info;
  call.http->Finish(StatusOfAnswer(answer),
                    ToModernAnswer(answer, call.request.message.envelope.method, info, call.http->id()));
}

void Bridge::Fail(uint64_t number, int status, int64_t code, std::string_view message) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Leave(number);
  const OpenCall call = std::move(it->second);
  calls_.erase(it);
  if (call.http != nullptr) call.http->Finish(status, ErrorText(call.http->id(), code, message));
}

// --- questions ----------------------------------------------------------------------------------------------------

void Bridge::AskClient(uint64_t number) {
  auto it = calls_.find(number);
  if (it == calls_.end() || it->second.questions.empty() || it->second.http == nullptr) return;
  OpenCall& call = it->second;
  call.ticket = std::to_string(number) + "." + RandomHex(16);
  std::vector<std::string> questions;
  for (const auto& [key, question] : call.questions) {
    std::string text = mcp::Quote(key) + R"(:{"method":)" + mcp::Quote(question.method);
    if (!question.params.empty()) text += R"(,"params":)" + question.params;
    questions.push_back(text + "}");
  }
  const std::string result = R"({"resultType":"input_required","inputRequests":{)" + Join(questions, ",") +
                             R"(},"requestState":)" + mcp::Quote(call.ticket) + "}";
  MakeRoomToPark(call.request.subject);
  const std::unique_ptr<PendingCall> http = std::move(call.http);
  call.parked = clock_.Now();
  http->Finish(200, ResultText(http->id(), result));
  loop_.Post(self_.Bind([](Bridge& self) { self.Reassign(); }));
}

void Bridge::MakeRoomToPark(const std::string& subject) {
  std::vector<std::pair<MonoTime, uint64_t>> parked;
  for (const auto& [number, call] : calls_) {
    if (call.http == nullptr && call.request.subject == subject) parked.emplace_back(call.parked, number);
  }
  if (parked.size() < settings_.max_parked) return;
  GiveUp(std::min_element(parked.begin(), parked.end())->second, "too many calls of the client wait for its answers");
}

void Bridge::GiveUp(uint64_t number, const char* why) {
  const OpenCall& call = calls_[number];
  auto lane = lanes_.find(call.lane);
  if (lane != lanes_.end() && lane->second.lane) {
    for (const auto& [key, question] : call.questions)
      (void)lane->second.lane->Send(ErrorText(question.id, mcp::kInternalError, why));
    lane->second.lane->Cancel(call.lane_call, R"("timed out")");
  }
  Fail(number, 200, mcp::kInternalError, why);
}

void Bridge::Resume(ModernRequest request, std::unique_ptr<Answer> answer) {
  const Incoming& message = request.message;
  const std::string id(message.Part(message.envelope.id));
  mcp::Span state, responses;
  mcp::FindMembers(message.text, message.envelope.params, {{"requestState", &state}, {"inputResponses", &responses}});
  const std::string ticket = mcp::Unquote(message.Part(state));
  const auto it = std::find_if(calls_.begin(), calls_.end(), [&](const auto& each) {
    const OpenCall& call = each.second;
    return !call.ticket.empty() && EqualsInConstantTime(call.ticket, ticket) && call.http == nullptr &&
           call.request.subject == request.subject;
  });
  if (it == calls_.end() || Digest(it->second.request.message) != Digest(message)) {
    return answer->Json(
        200, ErrorText(id, mcp::kInvalidParams, "requestState is not that of a request that waits for input here"));
  }
  const uint64_t number = it->first;
  OpenCall& call = it->second;
  call.http = Pend(number, request, std::move(answer));
  call.ticket.clear();
  if (call.answer) {
    const Incoming late = *std::move(call.answer);
    call.answer.reset();
    return FinishWith(number, late);
  }
  auto lane = lanes_.find(call.lane);
  if (lane == lanes_.end()) return Fail(number, 200, mcp::kInternalError, "the server has ended");
  const mcp::Span meta = mcp::FindMember(message.text, message.envelope.params, "_meta");
  const std::string token(message.Part(mcp::FindMember(message.text, meta, "progressToken")));
  lane->second.lane->SetToken(call.lane_call, token);
  for (const std::string& line : std::exchange(call.held, {})) {
    const StatusOr<mcp::Envelope> held = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
    if (!held.ok() || token.empty()) continue;
    call.http->Notify(mcp::ApplyEdits(line, {{mcp::FindMember(line, held->params, "progressToken"), token}}),
                      clock_.Now());
  }
  for (const auto& [key, place] : mcp::MembersOf(message.text, responses)) {
    auto question = call.questions.find(key);
    if (question == call.questions.end()) continue;
    (void)lane->second.lane->Send(ResultText(question->second.id, message.Part(place)));
    call.questions.erase(question);
  }
  // What was not answered is asked again.
  if (!call.questions.empty()) AskClient(number);
}

// --- subscriptions ------------------------------------------------------------------------------------------------

void Bridge::Listen(const ModernRequest& request, std::unique_ptr<Answer> answer) {
  const Incoming& message = request.message;
  const auto same = [&](const auto& each) { return each.second.subject == request.subject; };
  if (static_cast<size_t>(std::count_if(listeners_.begin(), listeners_.end(), same)) >= settings_.modern.max_listens)
    return RefuseListen(message, *answer);
  const mcp::Span wanted = mcp::FindMember(message.text, message.envelope.params, "notifications");
  Listener listener;
  listener.subject = request.subject;
  for (const auto& [flag, method] : {std::pair{"toolsListChanged", "notifications/tools/list_changed"},
                                     std::pair{"promptsListChanged", "notifications/prompts/list_changed"},
                                     std::pair{"resourcesListChanged", "notifications/resources/list_changed"}}) {
    if (Flag(message, wanted, flag)) listener.methods.insert(method);
  }
  const StatusOr<Json> uris = ParseJson(message.Part(mcp::FindMember(message.text, wanted, "resourceSubscriptions")));
  for (const Json& uri : uris.value_or(Json::array())) {
    if (uri.is_string() && listener.uris.size() < kMaxUris) listener.uris.insert(uri.get<std::string>());
  }
  const uint64_t number = next_++;
  listener.lane = LaneFor(request);
  listener.http = Pend(number, request, std::move(answer));
  const uint64_t lane = listener.lane;
  listeners_[number] = std::move(listener);
  if (lanes_[lane].ready) BeginListening(number);
}

// The lane stands: what it can tell of is confirmed, and asked for.
void Bridge::BeginListening(uint64_t number) {
  Listener& listener = listeners_[number];
  listener.begun = true;
  BridgeLane& lane = lanes_[listener.lane];
  const Json& features = GetMember(lane.initialize_result, "capabilities");
  Json honoured = Json::object();
  for (const auto& [feature, flag, method] :
       {std::tuple{"tools", "toolsListChanged", "notifications/tools/list_changed"},
        std::tuple{"prompts", "promptsListChanged", "notifications/prompts/list_changed"},
        std::tuple{"resources", "resourcesListChanged", "notifications/resources/list_changed"}}) {
    if (!listener.methods.contains(method)) continue;
    if (GetBool(GetMember(features, feature), "listChanged")) {
      honoured[flag] = true;
    } else {
      listener.methods.erase(method);
    }
  }
  if (!GetBool(GetMember(features, "resources"), "subscribe")) listener.uris.clear();
  if (!listener.uris.empty()) honoured["resourceSubscriptions"] = listener.uris;
  const std::string params = R"({"_meta":{)" + mcp::Quote(kMetaSubscription) + ":" + listener.http->id() +
                             R"(},"notifications":)" + DumpJson(honoured) + "}";
  listener.http->Notify(
      R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":)" + params + "}", clock_.Now());
  for (const std::string& uri : listener.uris) {
    if (lane.subscribed.insert(uri).second) (void)lane.lane->Request("resources/subscribe", {{"uri", uri}}, {});
  }
}

void Bridge::DropSubscriptions(uint64_t number) {
  auto it = lanes_.find(number);
  if (it == lanes_.end()) return;
  BridgeLane& lane = it->second;
  std::erase_if(lane.subscribed, [&](const std::string& uri) {
    const bool wanted = std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& each) {
      return each.second.lane == number && each.second.uris.contains(uri);
    });
    if (!wanted && lane.lane) (void)lane.lane->Request("resources/unsubscribe", {{"uri", uri}}, {});
    return !wanted;
  });
}

void Bridge::EndListening(uint64_t number, const Status& why) {
  auto it = listeners_.find(number);
  const Listener listener = std::move(it->second);
  listeners_.erase(it);
  listener.http->EndWithServer(Message(why));
}

// --- time ---------------------------------------------------------------------------------------------------------

void Bridge::Tick(MonoTime now) {
  std::vector<std::pair<uint64_t, const char*>> late;
  for (const auto& [number, call] : calls_) {
    if (call.http == nullptr && now - call.parked >= settings_.modern.park_timeout) {
      late.emplace_back(number, "the client did not answer in time");
    } else if (call.http != nullptr && !call.http->Tick(now, settings_.modern)) {
      late.emplace_back(number, "the server did not answer in time");
    }
  }
  for (const auto& [number, why] : late) GiveUp(number, why);
  Reassign();
  for (auto& [number, listener] : listeners_) listener.http->Tick(now, settings_.modern);
  std::erase_if(lanes_, [&](const auto& each) {
    const BridgeLane& lane = each.second;
    return IsIdle(each.first, lane) &&
           (now - lane.used >= settings_.idle_timeout || now - lane.began >= settings_.max_lifetime);
  });
}

}  // namespace mcpfleet::gateway
