#include "edge-runtime/gateway/direct_conversation.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "edge-runtime/gateway/answer.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxKeptBytes = size_t{47} << 10;
constexpr size_t kMaxQueued = 64;
constexpr size_t kMaxAsked = 256;
// The mcplet before may have sent a request that its note does not tell of: its id is not given away again.
constexpr uint64_t kIdsInDoubt = 1;
constexpr char kInitialize[] = "initialize";
constexpr char kInitialized[] = "notifications/initialized";

bool IsAboutTheSession(std::string_view method) {
  return method.ends_with("/list_changed") || method == "notifications/resources/updated";
}

}  // namespace

DirectConversation::DirectConversation(Loop& loop, std::unique_ptr<Link> link, SessionNote note,
                                       std::string doubtful_line, Options options)
    : loop_(loop),
      first_link_(std::move(link)),
      doubtful_line_(std::move(doubtful_line)),
      note_(std::move(note)),
      options_(std::move(options)) {
  if (note_.incarnation > 0) note_.next_id += kIdsInDoubt;
}

DirectConversation::~DirectConversation() = default;

void DirectConversation::Start(Events events) {
  events_ = std::move(events);
  for (const auto& [lane_call, call] : note_.calls) lane_calls_[call.call.call] = lane_call;
  Open(std::move(first_link_));
  // At once: the mcplet after this one must not give out the ids of this one's events.
  if (note_.incarnation > 0) Keep();
  if (!doubtful_line_.empty()) {
    // Nobody knows how much of it arrived: whoever waits for its answer must not wait for ever.
    loop_.Post(self_.Bind([line = std::exchange(doubtful_line_, "")](DirectConversation& self) {
      self.FailDoubtful(line);
      if (self.lane_ != nullptr) self.lane_->SettleDoubt();
    }));
  }
}

void DirectConversation::FailDoubtful(std::string_view line) {
  const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok() || envelope->kind != mcp::MessageKind::kRequest || lane_ == nullptr) return;
  for (const auto& [lane_call, call] : note_.calls) {
    if (std::to_string(lane_call) != envelope->id.In(line)) continue;
    lane_->Fail(lane_call, mcp::kInternalError, "mcplet ended while it sent this request");
    return;
  }
}

void DirectConversation::Open(std::unique_ptr<Link> link) {
  lane_ = std::make_shared<Lane>(loop_, std::move(link), note_.next_id);
  for (const auto& [lane_call, call] : note_.calls) lane_->Continue({lane_call, call.token}, EventsFor(lane_call));
  lane_->Start(
      {.notification =
           self_.Bind([](DirectConversation& self, Incoming message) { self.OnNotification(std::move(message)); }),
       .request = self_.Bind([](DirectConversation& self, const Incoming& message) { self.OnRequest(message); }),
       .closed = self_.Bind([](DirectConversation& self, const Status& why) { self.OnLaneClosed(why); })});
}

CallEvents DirectConversation::EventsFor(uint64_t lane_call) {
  return {.progress = self_.Bind([lane_call](DirectConversation& self, std::string line) {
            auto it = self.note_.calls.find(lane_call);
            if (it != self.note_.calls.end()) self.events_.to_call(it->second.call.call, std::move(line));
          }),
          .answer = self_.Bind(
              [lane_call](DirectConversation& self, Incoming answer) { self.OnAnswer(lane_call, std::move(answer)); })};
}

void DirectConversation::Keep() {
  if (note_.session.empty() || lane_ == nullptr || replaying_) return;  // a successor gets it once it is ready
  if (fixed_.empty()) fixed_ = note_.FixedText();
  std::string text;
  text.reserve(fixed_.size() + RecentAnswers::kMostBytes);
  text = fixed_;
  note_.AppendMoving(&text);
  // Without a note a later mcplet ends the child; with an old one it would give ids away twice.
  lane_->Keep(text.size() <= kMaxKeptBytes ? text : "");
}

void DirectConversation::Pause(bool paused) {
  if (lane_ != nullptr) lane_->Pause(paused);
}

Status DirectConversation::Request(const SessionCall& call, const Incoming& message) {
  if (lane_ == nullptr || replaying_) {
    if (queued_.size() >= kMaxQueued) return ResourceExhausted("too many requests wait for the server");
    queued_.emplace_back(call, message);
    return OkStatus();
  }
  if (note_.TakeIn(message)) fixed_.clear();
  const uint64_t lane_call = lane_->next_id();
  RETURN_IF_ERROR(lane_->Request(message.text, message.envelope, {}, EventsFor(lane_call)).status());
  const mcp::Span token =
      mcp::FindMember(message.text, mcp::FindMember(message.text, message.envelope.params, "_meta"), "progressToken");
  note_.calls[lane_call] = {call, std::string(message.Part(token)), message.envelope.method};
  lane_calls_[call.call] = lane_call;
  note_.next_id = lane_call + 1;
  Keep();
  return OkStatus();
}

void DirectConversation::Notify(const Incoming& message) {
  if (note_.TakeIn(message)) fixed_.clear();
  if (lane_ == nullptr || replaying_) {
    if (message.envelope.method != kInitialized && queued_.size() < kMaxQueued)
      queued_.emplace_back(std::nullopt, message);
    return;
  }
  if (message.envelope.method == kInitialized) Keep();
  (void)lane_->Send(message.text);  // a server that is gone has closed the lane
}

void DirectConversation::Reply(const Incoming& message) {
  auto it = note_.asked.find(std::string(message.Part(message.envelope.id)));
  if (it == note_.asked.end() || lane_ == nullptr) return;
  const std::string id = std::move(it->second.id);
  note_.asked.erase(it);
  replies_.push_back(message.WithId(id));
  SendReplies();
  Keep();
}

// The client has its 202: what its server has no room for now is sent later.
void DirectConversation::SendReplies() {
  while (!replies_.empty() && lane_ != nullptr) {
    if (lane_->Send(replies_.front()).code() == StatusCode::kResourceExhausted) return;
    replies_.pop_front();
  }
}

void DirectConversation::Tick() { SendReplies(); }

void DirectConversation::Cancel(uint64_t call, std::string_view reason) {
  auto it = lane_calls_.find(call);
  if (it == lane_calls_.end()) {
    std::erase_if(queued_, [&](const auto& each) { return each.first && each.first->call == call; });
    return;
  }
  const uint64_t lane_call = it->second;
  TakeOut(lane_call);
  if (lane_ != nullptr) lane_->Cancel(lane_call, reason);
}

// The call is over, whoever says so.
std::optional<SessionNote::Call> DirectConversation::TakeOut(uint64_t lane_call) {
  auto node = note_.calls.extract(lane_call);
  if (node.empty()) return std::nullopt;
  SessionNote::Call call = std::move(node.mapped());
  lane_calls_.erase(call.call.call);
  note_.answered.Add(call.call.stream, call.call.id);
  Keep();
  return call;
}

void DirectConversation::Release() {
  if (lane_ == nullptr) return;
  if (!note_.initialized.empty()) Keep();
  lane_->Release();
}

void DirectConversation::OnAnswer(uint64_t lane_call, Incoming answer) {
  const std::optional<SessionNote::Call> call = TakeOut(lane_call);
  if (!call) return;
  const bool result = answer.envelope.kind == mcp::MessageKind::kResult;
  if (result) relinks_ = 0;
  if (call->method == kInitialize && result) note_.TakeInVersion(answer);
  if (options_.inspect) options_.inspect(call->method, &answer);
  events_.answer(call->call.call, std::move(answer).WithId(call->call.id));
}

void DirectConversation::OnNotification(Incoming message) {
  if (message.envelope.method == "notifications/cancelled") {
    // The server takes one of its own requests back.
    const mcp::Span id = mcp::FindMember(message.text, message.envelope.params, "requestId");
    for (auto it = note_.asked.begin(); it != note_.asked.end(); ++it) {
      if (it->second.id != message.Part(id)) continue;
      std::string line = mcp::ApplyEdits(message.text, {{id, it->first}});
      note_.asked.erase(it);
      Keep();
      return events_.to_session(std::move(line), About::kACall);
    }
    return;
  }
  const About about = IsAboutTheSession(message.envelope.method) ? About::kTheSession : About::kACall;
  events_.to_session(std::move(message.text), about);
}

void DirectConversation::OnRequest(const Incoming& message) {
  const std::string theirs(message.Part(message.envelope.id));
  if (note_.asked.size() >= kMaxAsked) {
    (void)lane_->Send(ErrorText(theirs, mcp::kInternalError, "too many requests of the server wait for the client"));
    return;
  }
  const std::string ours = std::to_string(note_.next_asked++);
  std::string line = message.WithId(ours);
  // With one call under way there is no doubt which one it belongs to.
  const uint64_t call = note_.calls.size() == 1 ? note_.calls.begin()->second.call.call : 0;
  events_.question(call, line, [&](const EventId& at) {
    note_.asked[ours] = {theirs, at, note_.Keeps(line.size()) ? line : ""};
    Keep();
  });
}

// --- a successor --------------------------------------------------------------------------------------------------

void DirectConversation::OnLaneClosed(const Status& why) {
  note_.next_id = lane_->next_id();
  note_.asked.clear();
  replies_.clear();
  lane_.reset();
  const bool may = options_.relink != nullptr && !note_.initialized.empty() && relinks_++ < kMaxRelinks;
  if (!may) return events_.closed(why);
  LOG_INFO("a session's server has ended; it goes on with another", {{"reason", Message(why)}});
  options_.relink(self_.Bind(
      [](DirectConversation& self, StatusOr<std::unique_ptr<Link>> link) { self.TakeSuccessor(std::move(link)); }));
}

void DirectConversation::TakeSuccessor(StatusOr<std::unique_ptr<Link>> link) {
  if (!link.ok()) return events_.closed(link.status());
  replaying_ = true;
  Open(*std::move(link));
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(note_.initialize, mcp::Validation::kEnvelope);
  const StatusOr<uint64_t> sent =
      envelope.ok() ? lane_->Request(note_.initialize, *envelope, {},
                                     {.answer = self_.Bind([](DirectConversation& self, const Incoming& answer) {
                                       self.OnReplayed(answer);
                                     })})
                    : envelope.status();
  if (!sent.ok()) return events_.closed(sent.status());
  lane_->FailAfter(options_.handshake_timeout, *sent, "the server did not answer in time");
}

void DirectConversation::OnReplayed(const Incoming& answer) {
  if (lane_->closed()) return;  // OnLaneClosed comes next and decides
  if (answer.envelope.kind != mcp::MessageKind::kResult)
    return events_.closed(Unavailable("the server refused the session's handshake"));
  note_.next_id = lane_->next_id();
  (void)lane_->Send(note_.initialized);
  Replay();
  replaying_ = false;
  note_.next_id = lane_->next_id();
  Keep();
  for (auto& [call, message] : std::exchange(queued_, {})) {
    if (!call) {
      Notify(message);
    } else if (const Status sent_now = Request(*call, message); !sent_now.ok()) {
      events_.answer(call->call, ErrorText(call->id, mcp::kInternalError, Message(sent_now)));
    }
  }
}

void DirectConversation::Replay() {
  if (StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(note_.level, mcp::Validation::kEnvelope); envelope.ok())
    (void)lane_->Request(note_.level, *envelope, {}, {});
  for (const std::string& uri : note_.subscriptions) (void)lane_->Request("resources/subscribe", {{"uri", uri}}, {});
}

}  // namespace mcpfleet::gateway
