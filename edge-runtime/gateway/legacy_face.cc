#include "edge-runtime/gateway/legacy_face.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/translation.h"

namespace mcpfleet::gateway {
namespace {

Incoming MessageOf(std::string text) {
  Incoming message{std::move(text), {}};
  message.envelope = mcp::ReadEnvelope(message.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
  return message;
}

std::string RequestText(std::string_view method, std::string_view params) {
  return R"({"jsonrpc":"2.0","id":0,"method":)" + mcp::Quote(method) + R"(,"params":)" + std::string(params) + "}";
}

}  // namespace

LegacyFace::~LegacyFace() {
  if (listening_ != 0) hub_->Cancel(listening_);
  for (const auto& [number, call] : calls_) {
    if (call.hub_call != 0) hub_->Cancel(call.hub_call);
  }
}

// From the loop: answers never come from inside Request.
void LegacyFace::Answer(const SessionCall& call, std::string_view result) {
  loop_.Post(self_.Bind([number = call.call, line = ResultText(call.id, result)](LegacyFace& self) {
    self.events_.answer(number, line);
  }));
}

void LegacyFace::Refuse(const SessionCall& call, int64_t code, std::string_view message) {
  loop_.Post(self_.Bind([number = call.call, line = ErrorText(call.id, code, message)](LegacyFace& self) {
    self.events_.answer(number, line);
  }));
}

Status LegacyFace::Request(const SessionCall& call, const Incoming& message) {
  const std::string& method = message.envelope.method;
  if (method == "initialize") {
    BeginSession(call, message);
  } else if (method == "ping") {
    Answer(call, "{}");
  } else if (method == "logging/setLevel") {
    log_level_ = message.Part(mcp::FindMember(message.text, message.envelope.params, "level"));
    Answer(call, "{}");
  } else if (method == "resources/subscribe" || method == "resources/unsubscribe") {
    Subscribe(call, message, method == "resources/subscribe");
  } else if (method == "server/discover" || method.starts_with("subscriptions/") || method.starts_with("tasks/")) {
    Refuse(call, mcp::kMethodNotFound, "Method not found: " + Printable(method, 80));
  } else {
    if (std::exchange(lost_, false)) Listen();
    calls_[call.call] = {call, message};
    Send(call.call, message);
  }
  return OkStatus();
}

void LegacyFace::BeginSession(const SessionCall& call, const Incoming& message) {
  mcp::Span version, capabilities, client;
  mcp::FindMembers(message.text, message.envelope.params,
                   {{"protocolVersion", &version}, {"capabilities", &capabilities}, {"clientInfo", &client}});
  version_ = mcp::Unquote(message.Part(version));
  if (mcp::IsObject(message.Part(capabilities))) capabilities_ = mcp::OneLine(std::string(message.Part(capabilities)));
  if (mcp::IsObject(message.Part(client))) client_info_ = mcp::OneLine(std::string(message.Part(client)));
  const Incoming discover = MessageOf(RequestText("server/discover", "{}"));
  calls_[call.call] = {call, discover};
  Send(call.call, discover);
}

void LegacyFace::Send(uint64_t number, const Incoming& message) {
  Call& call = calls_[number];
  call.hub_call = hub_->Request(
      message, AddModernMeta(message.text, message.envelope, capabilities_, client_info_, log_level_),
      {.id = call.call.id,
       .listens = false,
       .wants_logs = !log_level_.empty(),
       .message =
           self_.Bind([number](LegacyFace& self, std::string line) { self.events_.to_call(number, std::move(line)); }),
       .answer =
           self_.Bind([number](LegacyFace& self, Incoming answer) { self.OnAnswer(number, std::move(answer)); })});
}

void LegacyFace::OnAnswer(uint64_t number, Incoming answer) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Call& call = it->second;
  call.hub_call = 0;
  const bool result = answer.envelope.kind == mcp::MessageKind::kResult;
  const std::string method = call.message.envelope.method;
  if (result && mcp::Unquote(answer.Part(mcp::FindMember(answer.text, answer.envelope.result, "resultType"))) ==
                    "input_required") {
    if (AskClient(&call, answer)) return;
    for (const auto& [key, id] : call.inputs) asked_.erase(id);
    const std::string refusal =
        ErrorText(call.call.id, mcp::kInternalError, "the server asks for input that this client can't be asked for");
    calls_.erase(it);
    return events_.answer(number, refusal);
  }
  const SessionCall of = call.call;
  calls_.erase(it);
  if (method == "server/discover" && result) {
    const Json discovered = ParseJson(answer.Part(answer.envelope.result)).value_or(Json());
    lists_change_ = GetMember(discovered, "capabilities").is_object();
    return events_.answer(number, ResultText(of.id, mcpfleet::gateway::InitializeResult(discovered, version_)));
  }
  if (inspect_) inspect_(method, &answer);
  events_.answer(number, answer.WithId(of.id));
}

// The requests inside of an input_required result become requests to the client.
bool LegacyFace::AskClient(Call* call, const Incoming& answer) {
  const Incoming& asked_for = call->message;
  if (++call->rounds > kMaxRounds || !mcp::IsObject(asked_for.Part(asked_for.envelope.params))) return false;
  mcp::Span requests, state;
  mcp::FindMembers(answer.text, answer.envelope.result, {{"inputRequests", &requests}, {"requestState", &state}});
  call->state = answer.Part(state);
  call->inputs.clear();
  call->answers.clear();
  std::vector<std::string> lines;
  for (const auto& [key, place] : mcp::MembersOf(answer.text, requests)) {
    mcp::Span method, params;
    mcp::FindMembers(answer.text, place, {{"method", &method}, {"params", &params}});
    const std::string name = mcp::Unquote(answer.Part(method));
    const std::string_view capability = name == "roots/list"               ? "roots"
                                        : name == "sampling/createMessage" ? "sampling"
                                        : name == "elicitation/create"     ? "elicitation"
                                                                           : "";
    if (capability.empty() || !Declares(capabilities_, capability)) return false;
    const std::string id = std::to_string(next_asked_++);
    std::string line = R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":)" + std::string(answer.Part(method));
    if (params) line += R"(,"params":)" + std::string(answer.Part(params));
    lines.push_back(line + "}");
    call->inputs[key] = id;
    asked_[id] = call->call.call;
  }
  if (lines.empty()) {
    // Only the state is to be sent back.
    loop_.Post(self_.Bind([number = call->call.call](LegacyFace& self) { self.Retry(number); }));
    return true;
  }
  for (std::string& line : lines) events_.to_call(call->call.call, std::move(line));
  return true;
}

void LegacyFace::Reply(const Incoming& message) {
  auto asked = asked_.find(std::string(message.Part(message.envelope.id)));
  if (asked == asked_.end()) return;
  const std::string id = asked->first;
  const uint64_t number = asked->second;
  asked_.erase(asked);
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Call& call = it->second;
  if (message.envelope.kind == mcp::MessageKind::kError) {
    // The client declined: so does the call.
    for (const auto& [key, other] : call.inputs) asked_.erase(other);
    const SessionCall of = call.call;
    const std::string text =
        "the client refused what the server asks for: " +
        mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.error, "message")));
    calls_.erase(it);
    return Refuse(of, mcp::kInternalError, text);
  }
  for (auto each = call.inputs.begin(); each != call.inputs.end(); ++each) {
    if (each->second != id) continue;
    call.answers[each->first] = message.Part(message.envelope.result);
    call.inputs.erase(each);
    break;
  }
  if (call.inputs.empty()) Retry(number);
}

void LegacyFace::Retry(uint64_t number) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Call& call = it->second;
  std::vector<std::string> answers;
  for (const auto& [key, result] : call.answers) answers.push_back(mcp::Quote(key) + ":" + result);
  std::string members = R"("inputResponses":{)" + Join(answers, ",") + "}";
  if (!call.state.empty()) members += R"(,"requestState":)" + call.state;
  const mcp::Edit edit = mcp::AddMembers(call.message.text, call.message.envelope.params, std::move(members));
  Send(number, MessageOf(mcp::ApplyEdits(call.message.text, {edit})));
}

void LegacyFace::Cancel(uint64_t number, std::string_view reason) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  if (it->second.hub_call != 0) hub_->Cancel(it->second.hub_call, reason);
  for (const auto& [key, id] : it->second.inputs) asked_.erase(id);
  calls_.erase(it);
}

void LegacyFace::Notify(const Incoming& message) {
  if (message.envelope.method == "notifications/initialized") Listen();
}

void LegacyFace::Subscribe(const SessionCall& call, const Incoming& message, bool on) {
  const std::string uri = mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.params, "uri")));
  if (uri.empty()) return Refuse(call, mcp::kInvalidParams, "params.uri is missing");
  if (on && subscriptions_.size() >= kMaxSubscriptions)
    return Refuse(call, mcp::kInternalError, "too many subscriptions in this session");
  if (on ? subscriptions_.insert(uri).second : subscriptions_.erase(uri) > 0) Listen();
  Answer(call, "{}");
}

// One subscription for the session: a changed one takes the old one's place.
void LegacyFace::Listen() {
  const uint64_t before = std::exchange(listening_, 0);
  acknowledged_ = false;
  if (!lists_change_ && subscriptions_.empty()) {
    if (before != 0) hub_->Cancel(before);
    return;
  }
  Json wanted = {{"toolsListChanged", true}, {"promptsListChanged", true}, {"resourcesListChanged", true}};
  if (!subscriptions_.empty()) wanted["resourceSubscriptions"] = subscriptions_;
  Incoming message = MessageOf(RequestText("subscriptions/listen", DumpJson({{"notifications", wanted}})));
  std::vector<mcp::Edit> edits = AddModernMeta(message.text, message.envelope, capabilities_, client_info_, "");
  listening_ =
      hub_->Request(std::move(message), std::move(edits),
                    {.id = "0",
                     .listens = true,
                     .message = self_.Bind([](LegacyFace& self, const std::string& line) { self.OnListened(line); }),
                     .answer = self_.Bind([](LegacyFace& self, const Incoming&) { self.OnListenEnded(); })});
  if (before != 0) hub_->Cancel(before);
}

void LegacyFace::OnListened(const std::string& line) {
  const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok()) return;
  if (envelope->method == "notifications/subscriptions/acknowledged") {
    acknowledged_ = true;
    return;
  }
  // The subscription is the gateway's.
  std::string text = mcp::ApplyEdits(line, StripModernMeta(line, *envelope));
  events_.to_session(std::move(text), About::kTheSession);
}

// The server was replaced: another one may list something else. One that never began to listen can't, and is not asked
// again.
void LegacyFace::OnListenEnded() {
  listening_ = 0;
  if (!std::exchange(acknowledged_, false)) return;
  lost_ = true;
  if (lists_change_)
    events_.to_session(mcp::SerializeNotification("notifications/tools/list_changed", Json()), About::kTheSession);
}

}  // namespace mcpfleet::gateway
