#include "edge-runtime/gateway/shared_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/bridge.h"
#include "edge-runtime/mcp/era.h"

namespace mcpfleet::gateway {
namespace {

// Of RFC 5424, least urgent first.
constexpr std::array<std::string_view, 8> kLevels = {"debug", "info",     "notice", "warning",
                                                     "error", "critical", "alert",  "emergency"};

std::optional<size_t> LevelOf(const Incoming& message) {
  const std::string level = mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.params, "level")));
  const auto it = std::find(kLevels.begin(), kLevels.end(), level);
  if (it == kLevels.end()) return std::nullopt;
  return static_cast<size_t>(it - kLevels.begin());
}

}  // namespace

// --- the child ----------------------------------------------------------------------------------------------------

void SharedServer::Join(SharedConversation* session) {
  sessions_.insert(session);
  if (!ready_) Open();
}

void SharedServer::Open() {
  if (std::exchange(opening_, true)) return;
  new_link_(self_.Bind([](SharedServer& self, StatusOr<std::unique_ptr<Link>> link) { self.OnLink(std::move(link)); }));
}

void SharedServer::Leave(SharedConversation* session) {
  sessions_.erase(session);
  std::vector<std::string> uris;
  for (const auto& [uri, subscribers] : subscribers_) {
    if (subscribers.contains(session)) uris.push_back(uri);
  }
  for (const std::string& uri : uris) Unsubscribe(uri, session);
  if (ready_) ApplyLevel();
}

void SharedServer::CloseIdle() {
  if (!sessions_.empty() || opening_) return;
  ready_ = false;
  lane_.reset();
}

void SharedServer::OnLink(StatusOr<std::unique_ptr<Link>> link) {
  if (!link.ok()) return End(link.status());
  lane_ = std::make_shared<Lane>(loop_, *std::move(link));
  lane_->Start(
      {.notification = self_.Bind([](SharedServer& self, const Incoming& message) { self.OnNotification(message); }),
       .request = self_.Bind([](SharedServer& self, const Incoming& request) {
         (void)self.lane_->Send(ErrorText(request.Part(request.envelope.id), mcp::kMethodNotFound,
                                          "nothing can be asked of the clients of a shared server"));
       }),
       .closed = self_.Bind([](SharedServer& self, const Status& why) { self.End(why); })});
  InitializeLane(*lane_, "{}", "", handshake_timeout_,
                 self_.Bind([](SharedServer& self, StatusOr<Json> result) { self.OnInitialized(std::move(result)); }));
}

void SharedServer::OnInitialized(StatusOr<Json> result) {
  if (!result.ok()) return End(result.status());
  opening_ = false;
  ready_ = true;
  const bool again = initialize_result_.is_object();
  initialize_result_ = *std::move(result);
  for (const auto& [uri, subscribers] : subscribers_) (void)lane_->Request("resources/subscribe", {{"uri", uri}}, {});
  level_.reset();
  ApplyLevel();
  if (again) {
    // Another child may list something else.
    for (SharedConversation* session : sessions_)
      session->Say(mcp::SerializeNotification("notifications/tools/list_changed", Json()),
                   Conversation::About::kTheSession);
  }
  for (SharedConversation* session : std::set<SharedConversation*>(sessions_)) session->OnReady();
}

// A child that was up is followed by another, under its sessions; one that does not come up ends them.
void SharedServer::End(const Status& why) {
  const bool follow = ready_ && restarts_++ < kMaxRestarts && !sessions_.empty();
  opening_ = ready_ = false;
  loop_.Post([keep = std::exchange(lane_, nullptr)] {});
  if (follow) return Open();
  subscribers_.clear();
  for (SharedConversation* session : std::set<SharedConversation*>(sessions_)) session->OnEnded(why);
}

void SharedServer::OnNotification(const Incoming& message) {
  const std::string& method = message.envelope.method;
  if (method == "notifications/resources/updated") {
    const std::string uri = mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.params, "uri")));
    auto it = subscribers_.find(uri);
    if (it == subscribers_.end()) return;
    for (SharedConversation* session : it->second) session->Say(message.text, Conversation::About::kTheSession);
  } else if (method.ends_with("/list_changed")) {
    for (SharedConversation* session : sessions_) session->Say(message.text, Conversation::About::kTheSession);
  } else if (method == "notifications/message") {
    SharedConversation* only = nullptr;
    for (SharedConversation* session : sessions_) {
      if (session->calls_.empty()) continue;
      if (only != nullptr) return;
      only = session;
    }
    const bool wanted = only != nullptr && (!only->level_ || LevelOf(message).value_or(*only->level_) >= *only->level_);
    if (wanted) only->Say(message.text, Conversation::About::kACall);
  }
}

void SharedServer::ApplyLevel() {
  std::optional<size_t> most;
  for (const SharedConversation* session : sessions_) {
    if (session->level_ && (!most || *session->level_ < *most)) most = session->level_;
  }
  if (!most || most == level_ || lane_ == nullptr) return;
  level_ = most;
  (void)lane_->Request("logging/setLevel", {{"level", std::string(kLevels[*most])}}, {});
}

bool SharedServer::Subscribe(const std::string& uri, SharedConversation* session) {
  std::set<SharedConversation*>& subscribers = subscribers_[uri];
  if (!subscribers.insert(session).second) return false;
  if (subscribers.size() == 1 && lane_ != nullptr) (void)lane_->Request("resources/subscribe", {{"uri", uri}}, {});
  return true;
}

bool SharedServer::Unsubscribe(const std::string& uri, SharedConversation* session) {
  auto it = subscribers_.find(uri);
  if (it == subscribers_.end() || it->second.erase(session) == 0) return false;
  if (!it->second.empty()) return true;
  subscribers_.erase(it);
  if (lane_ != nullptr) (void)lane_->Request("resources/unsubscribe", {{"uri", uri}}, {});
  return true;
}

// --- a session ----------------------------------------------------------------------------------------------------

SharedConversation::~SharedConversation() {
  for (const auto& [number, call] : calls_) {
    if (Lane* lane = server_->lane(); lane != nullptr) lane->Cancel(call.second);
  }
  server_->Leave(this);
}

void SharedConversation::Start(Events events) {
  events_ = std::move(events);
  server_->Join(this);
}

void SharedConversation::OnReady() {
  for (auto& [call, message] : std::exchange(waiting_, {})) {
    if (const Status sent = Request(call, message); !sent.ok())
      events_.answer(call.call, ErrorText(call.id, mcp::kInternalError, Message(sent)));
  }
}

void SharedConversation::OnEnded(const Status& why) {
  if (std::exchange(ended_, true)) return;
  // From the loop: the one that ends is among the server's.
  loop_.Post(self_.Bind([why](SharedConversation& self) {
    for (const auto& [call, message] : std::exchange(self.waiting_, {}))
      self.events_.answer(call.call, ErrorText(call.id, mcp::kInternalError, Message(why)));
    self.events_.closed(why);
  }));
}

void SharedConversation::Say(std::string line, About about) { events_.to_session(std::move(line), about); }

void SharedConversation::Answer(const SessionCall& call, std::string_view result) {
  loop_.Post(self_.Bind([number = call.call, line = ResultText(call.id, result)](SharedConversation& self) {
    self.events_.answer(number, line);
  }));
}

Status SharedConversation::Request(const SessionCall& call, const Incoming& message) {
  if (ended_) return Unavailable("the server has ended");
  Lane* lane = server_->lane();
  if (lane == nullptr) {
    if (waiting_.size() >= kMaxWaiting) return ResourceExhausted("too many requests wait for the server");
    waiting_.emplace_back(call, message);
    return OkStatus();
  }
  const std::string method = message.envelope.method;
  if (method == "initialize") {
    Json result = server_->initialize_result_;
    const std::string asked =
        mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.params, "protocolVersion")));
    // Revisions are dates: the older of the two is what both can.
    if (mcp::IsLegacyVersion(asked)) result["protocolVersion"] = std::min(asked, GetString(result, "protocolVersion"));
    Answer(call, DumpJson(result));
    return OkStatus();
  }
  if (method == "ping") {
    Answer(call, "{}");
    return OkStatus();
  }
  if (method == "resources/subscribe" || method == "resources/unsubscribe") {
    Subscribe(call, message);
    return OkStatus();
  }
  if (method == "logging/setLevel" && SetLevel(call, message)) return OkStatus();
  if (const std::string why = server_->names_.Refusal(message, subject_); !why.empty()) {
    loop_.Post(self_.Bind([number = call.call, line = ErrorText(call.id, mcp::kInvalidParams, why)](
                              SharedConversation& self) { self.events_.answer(number, line); }));
    return OkStatus();
  }
  const StatusOr<uint64_t> sent =
      lane->Request(message.text, message.envelope, {},
                    {.progress = self_.Bind([number = call.call](SharedConversation& self, std::string line) {
                       self.events_.to_call(number, std::move(line));
                     }),
                     .answer = self_.Bind([number = call.call, method](SharedConversation& self, Incoming answer) {
                       auto it = self.calls_.find(number);
                       if (it == self.calls_.end()) return;
                       const SessionCall of = it->second.first;
                       self.calls_.erase(it);
                       if (answer.envelope.kind == mcp::MessageKind::kResult) self.server_->restarts_ = 0;
                       self.server_->names_.Note(answer, self.subject_);
                       if (self.inspect_) self.inspect_(method, &answer);
                       self.events_.answer(number, answer.WithId(of.id));
                     })});
  if (!sent.ok()) return sent.status();
  calls_[call.call] = {call, *sent};
  return OkStatus();
}

// False: the server is to say what is wrong with it.
bool SharedConversation::SetLevel(const SessionCall& call, const Incoming& message) {
  const std::optional<size_t> level = LevelOf(message);
  if (!level || !GetMember(server_->initialize_result_, "capabilities").contains("logging")) return false;
  level_ = level;
  server_->ApplyLevel();
  Answer(call, "{}");
  return true;
}

void SharedConversation::Subscribe(const SessionCall& call, const Incoming& message) {
  const std::string uri = mcp::Unquote(message.Part(mcp::FindMember(message.text, message.envelope.params, "uri")));
  const bool on = message.envelope.method == "resources/subscribe";
  if (on && subscriptions_ < kMaxSubscriptions && server_->Subscribe(uri, this)) ++subscriptions_;
  if (!on && server_->Unsubscribe(uri, this)) --subscriptions_;
  Answer(call, "{}");
}

void SharedConversation::Cancel(uint64_t number, std::string_view reason) {
  std::erase_if(waiting_, [&](const auto& each) { return each.first.call == number; });
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  if (Lane* lane = server_->lane(); lane != nullptr) lane->Cancel(it->second.second, reason);
  calls_.erase(it);
}

}  // namespace mcpfleet::gateway
