#include "edge-runtime/gateway/http_link.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/http_rules.h"

namespace mcpfleet::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kMaxHeaderEcho = 1024;  // session and event ids
constexpr Duration kFarewell = seconds(2);
// For a message that only has to be accepted.
constexpr http::AsyncLimits kOneWay = {.total = seconds(30), .max_body = size_t{64} << 10};
// For a stream to end by itself once its answer came, and after a cancellation. A connection is worth more than that.
constexpr Duration kAfterAnswer = seconds(1), kAfterCancel = seconds(5);
constexpr Duration kFirstResume = milliseconds(100), kFirstReconnect = seconds(1);
constexpr int kMaxResumes = 5;
// A stream that lasted so long did not fail.
constexpr Duration kGoodStream = seconds(10);

bool IsEventStream(const http::Response& head) {
  return head.status / 100 == 2 && MediaTypeOf(head) == "text/event-stream";
}

// Nothing here, but maybe later.
bool IsTemporary(int status) { return status == 409 || status == 429 || status >= 500; }

}  // namespace

HttpLink::HttpLink(std::shared_ptr<HttpUpstream> upstream, std::function<void(Refusal)> refused)
    : upstream_(std::move(upstream)), refused_(std::move(refused)) {}

HttpLink::~HttpLink() {
  alive_.reset();
  posts_.clear();
  stream_.call.reset();
  if (session_.empty()) return;
  http::Request farewell = upstream_->NewRequest("DELETE");
  AddSession(&farewell);
  upstream_->client().SendAndForget(farewell, kFarewell);
}

void HttpLink::Start(Events events) { events_ = std::make_shared<Events>(std::move(events)); }

Status HttpLink::Send(std::string_view line) {
  if (closed_) return Unavailable("the session with the server is over");
  ASSIGN_OR_RETURN(Outbound message, ReadOutbound(line));
  if (!message.cancels.empty() && TakeCancel(message)) return OkStatus();
  // Modern servers ask nothing, and take no answers (2026-07-28, "Sending Messages to the Server").
  if (message.method.empty() && !legacy_) return OkStatus();
  if (message.request() && (owed_.contains(message.id) || queue_.Waits(message.id)))
    return InvalidArgument("id " + message.id + ": a request with it is under way");
  legacy_ = legacy_ || message.opens_session();
  RETURN_IF_ERROR(queue_.Add(std::move(message)));
  Pump();
  return OkStatus();
}

// What only has to be accepted goes on.
void HttpLink::Pause(bool paused) {
  paused_ = paused;
  for (auto& [number, post] : posts_) {
    if (post.message.request()) Hold(post.call.get());
  }
  Hold(stream_.call.get());
}

void HttpLink::Hold(http::AsyncCall* call) const {
  if (call == nullptr) return;
  paused_ ? call->Pause() : call->Resume();
}

// False: the notification must go to the server.
bool HttpLink::TakeCancel(const Outbound& message) {
  if (queue_.Remove(message.cancels)) return true;  // it never left
  const auto owed = owed_.find(message.cancels);
  if (owed == owed_.end()) return !legacy_;
  const uint64_t number = owed->second;
  Post& post = posts_.at(number);
  if (post.message.modern() || post.message.opens_session()) {
    End(number);
    return true;
  }
  owed_.erase(owed);
  post.owed = false;
  EndAfter(number, kAfterCancel);
  return false;
}

void HttpLink::Pump() {
  while (std::optional<Outbound> message = queue_.Next()) Begin(*std::move(message));
}

void HttpLink::AddSession(http::Request* request) const {
  if (!session_.empty()) request->headers.Set("Mcp-Session-Id", session_);
  if (!version_.empty()) request->headers.Set("MCP-Protocol-Version", version_);
}

void HttpLink::Begin(Outbound message) {
  const uint64_t number = ++last_post_;
  Post& post = posts_[number];
  post.owed = message.request();
  post.barrier = message.barrier();
  if (post.owed) owed_[message.id] = number;
  http::Request request = upstream_->NewRequest("POST");
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("Accept", "application/json, text/event-stream");
  if (message.modern()) {
    for (const auto& [name, value] : ModernHeadersOf(message, upstream_->tool_headers()))
      request.headers.Set(name, value);
  } else if (!message.opens_session()) {
    AddSession(&request);
    post.in_session = !session_.empty();
  }
  // Needed again only when another transport has to take it.
  const bool keep = message.opens_session() && refused_ != nullptr;
  request.body = keep ? message.line : std::exchange(message.line, {});
  const bool one_way = !message.request();
  post.message = std::move(message);
  post.call = upstream_->client().Send(request, Callbacks(number), one_way ? kOneWay : http::AsyncLimits{});
  if (!one_way) Hold(post.call.get());
}

http::AsyncCallbacks HttpLink::Callbacks(uint64_t number) {
  return {.on_head = [this, number](const http::Response& head) { OnHead(number, head); },
          .on_body = [this, number](std::string_view bytes) { OnBody(number, bytes); },
          .on_done = [this, number](const Status& status) { OnDone(number, status); }};
}

void HttpLink::OnHead(uint64_t number, const http::Response& head) {
  Post& post = posts_.at(number);
  post.status = head.status;
  if (head.status == 404 && post.in_session) return Close(Unavailable("session ended by the server"));
  if (!post.message.request()) return OnOneWayHead(&post);
  if (IsEventStream(head)) post.events.emplace();
  if (post.message.opens_session() && head.status / 100 == 2) TakeSession(head);
}

void HttpLink::OnOneWayHead(Post* post) {
  if (!post->barrier) return;
  PassBarrier(post);
  if (post->status / 100 == 2) OpenStream();
  Pump();
}

void HttpLink::PassBarrier(Post* post) {
  if (std::exchange(post->barrier, false)) queue_.PassBarrier();
}

void HttpLink::TakeSession(const http::Response& head) {
  session_ = head.headers.Get("Mcp-Session-Id").value_or("");
  if (!session_.empty() && !IsEchoable(session_, kMaxHeaderEcho)) {
    session_.clear();
    Close(FailedPrecondition("initialize: the session id of the server is too long or not visible ASCII"));
  }
}

void HttpLink::OnBody(uint64_t number, std::string_view bytes) {
  Post& post = posts_.at(number);
  if (!post.message.request()) return;
  if (!post.events) {
    if (post.body.size() + bytes.size() > limits::kChildLineBytes)
      return Fail(number, "the answer of the upstream server is larger than 16 MiB");
    post.body.append(bytes);
    return;
  }
  StatusOr<std::vector<mcp::SseEvent>> events = post.events->Feed(bytes);
  if (!events.ok()) return Fail(number, "the answer of the upstream server is larger than 16 MiB");
  if (!post.events->last_id().empty()) post.last_event_id = post.events->last_id();
  if (post.events->retry_millis() >= 0) post.retry_millis = post.events->retry_millis();
  if (!events->empty()) post.attempts = 0;
  for (mcp::SseEvent& event : *events) {
    if (event.type == "message" && !event.data.empty()) Take(std::move(event.data), number);
  }
}

void HttpLink::OnDone(uint64_t number, const Status& status) {
  Post& post = posts_.at(number);
  if (!post.owed) return End(number);
  if (post.events) return OnBroken(number, status);
  if (status.ok()) return JudgeBody(number);
  LOG_WARNING("upstream request failed", {{"host", upstream_->url().host_header}, {"error", Message(status)}});
  Fail(number, DescribeFailure(status));
}

void HttpLink::JudgeBody(uint64_t number) {
  Post& post = posts_.at(number);
  const int status = post.status;
  post.call.reset();
  Take(std::exchange(post.body, {}), number);
  if (!post.owed) return End(number);
  const bool refused = status == 400 || status == 404 || status == 405;
  if (refused_ == nullptr || !refused || !post.message.opens_session()) return Fail(number, DescribeHttpStatus(status));
  Refuse(number, mcp::SerializeError(post.message.id, mcp::kInternalError, DescribeHttpStatus(status)));
}

// The barrier stays up, so nothing is sent until the other transport takes over.
void HttpLink::Refuse(uint64_t number, std::string error_line) {
  upstream_->loop().Post([this, number, alive = std::weak_ptr<bool>(alive_), error_line = std::move(error_line)] {
    if (alive.expired()) return;
    const auto post = posts_.find(number);
    if (post == posts_.end()) return;  // cancelled meanwhile
    Refusal refusal{.lines = {std::move(post->second.message.line)}, .error_line = error_line};
    for (Outbound& waiting : queue_.TakeAll()) refusal.lines.push_back(std::move(waiting.line));
    const std::function<void(Refusal)> refused = refused_;  // which may destroy us
    refused(std::move(refusal));
  });
}

// ---- what the server says

void HttpLink::Take(std::string text, uint64_t number) {
  for (std::string& line : MessagesIn(std::move(text))) TakeMessage(std::move(line), number);
}

void HttpLink::TakeMessage(std::string line, uint64_t number) {
  const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok()) return;  // whoever waits gets an error at the end of the body
  if (envelope->kind == mcp::MessageKind::kRequest || envelope->kind == mcp::MessageKind::kNotification)
    return Emit(std::move(line));
  const std::string_view id = envelope->id.In(line);
  if (const auto owed = owed_.find(id); owed != owed_.end()) return Answer(owed->second, std::move(line), *envelope);
  // Errors about a request that the server did not understand carry no id.
  const auto post = posts_.find(number);
  const bool nameless = id.empty() || id == "null";
  if (!nameless || post == posts_.end() || !post->second.owed) return;  // answered before, or cancelled
  line = R"({"jsonrpc":"2.0","id":)" + post->second.message.id + R"(,"error":)" +
         std::string(envelope->error.In(line)) + "}";
  const StatusOr<mcp::Envelope> named = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (named.ok()) Answer(number, std::move(line), *named);
}

void HttpLink::Answer(uint64_t number, std::string line, const mcp::Envelope& envelope) {
  Post& post = posts_.at(number);
  owed_.erase(post.message.id);
  post.owed = false;
  if (post.message.opens_session()) {
    const std::string version = mcp::Unquote(mcp::FindMember(line, envelope.result, "protocolVersion").In(line));
    version_ = IsEchoable(version, 64) ? version : "";
    PassBarrier(&post);
  }
  if (post.message.modern() && post.message.method == "tools/list" && envelope.kind == mcp::MessageKind::kResult)
    line = NoteTools(std::move(line), envelope);
  Emit(std::move(line));
  if (post.call != nullptr) EndAfter(number, kAfterAnswer);
  Pump();
}

// Learns the marks of the tools; tools with wrong ones are taken out, as a client on HTTP must.
std::string HttpLink::NoteTools(std::string line, const mcp::Envelope& envelope) {
  if (line.find("x-mcp-header") == std::string::npos && upstream_->tool_headers().empty()) return line;
  const std::string_view text = envelope.result.In(line);
  Json result = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!result.is_object() || !GetMember(result, "tools").is_array()) return line;
  Json kept = Json::array();
  for (Json& tool : result["tools"]) {
    const Status noted = upstream_->tool_headers().Note(tool);
    if (noted.ok()) {
      kept.push_back(std::move(tool));
    } else {
      LOG_WARNING("tool left out", {{"host", upstream_->url().host_header},
                                    {"tool", Printable(GetString(tool, "name"), 128)},
                                    {"why", Message(noted)}});
    }
  }
  if (kept.size() == result["tools"].size()) return line;
  result["tools"] = std::move(kept);
  return mcp::ApplyEdits(line, {{envelope.result, DumpJson(result)}});
}

// ---- streams that break, and the ends of messages

void HttpLink::OnBroken(uint64_t number, const Status& status) {
  Post& post = posts_.at(number);
  post.call.reset();
  const bool resumable = !post.message.modern() && IsEchoable(post.last_event_id, kMaxHeaderEcho);
  if (!resumable || post.attempts == kMaxResumes) return Fail(number, DescribeFailure(status));
  ++post.attempts;
  upstream_->After(PauseBefore(post.attempts, post.retry_millis, kFirstResume), alive_,
                   [this, number] { Resume(number); });
}

void HttpLink::Resume(uint64_t number) {
  const auto found = posts_.find(number);
  if (found == posts_.end()) return;
  Post& post = found->second;
  if (!post.owed) return End(number);
  http::Request request = upstream_->NewRequest("GET");
  request.headers.Set("Accept", "text/event-stream");
  request.headers.Set("Last-Event-ID", post.last_event_id);
  AddSession(&request);
  post.in_session = !session_.empty();
  post.events.emplace();
  http::AsyncCallbacks callbacks = Callbacks(number);
  callbacks.on_head = [this, number](const http::Response& head) { OnResumed(number, head); };
  post.call = upstream_->client().Send(request, std::move(callbacks));
  Hold(post.call.get());
}

void HttpLink::OnResumed(uint64_t number, const http::Response& head) {
  if (IsEventStream(head)) return;
  if (head.status == 404 && posts_.at(number).in_session) return Close(Unavailable("session ended by the server"));
  if (IsTemporary(head.status)) return OnBroken(number, Unavailable("HTTP " + std::to_string(head.status)));
  Fail(number, "the answer broke off and the upstream server does not resume it: HTTP " + std::to_string(head.status));
}

void HttpLink::Fail(uint64_t number, const std::string& why) {
  const Post& post = posts_.at(number);
  if (post.owed) Emit(mcp::SerializeError(post.message.id, mcp::kInternalError, why));
  End(number);
}

void HttpLink::EndAfter(uint64_t number, Duration delay) {
  upstream_->After(delay, alive_, [this, number] {
    if (posts_.contains(number)) End(number);
  });
}

void HttpLink::End(uint64_t number) {
  const auto post = posts_.find(number);
  const Outbound message = std::move(post->second.message);
  if (post->second.owed) owed_.erase(message.id);
  PassBarrier(&post->second);
  posts_.erase(post);
  queue_.End(message);
  Pump();
}

// ---- the server's own stream

void HttpLink::OpenStream() {
  if (closed_ || stream_.none || stream_.call != nullptr) return;
  http::Request request = upstream_->NewRequest("GET");
  request.headers.Set("Accept", "text/event-stream");
  if (IsEchoable(stream_.last_event_id, kMaxHeaderEcho)) request.headers.Set("Last-Event-ID", stream_.last_event_id);
  AddSession(&request);
  stream_.events.reset();
  stream_.call =
      upstream_->client().Send(request, {.on_head = [this](const http::Response& head) { OnStreamHead(head); },
                                         .on_body = [this](std::string_view bytes) { OnStreamBody(bytes); },
                                         .on_done = [this](const Status&) { OnStreamEnd(); }});
  Hold(stream_.call.get());
}

void HttpLink::OnStreamHead(const http::Response& head) {
  if (IsEventStream(head)) {
    stream_.since = std::chrono::steady_clock::now();
    stream_.events.emplace();
    return;
  }
  if (head.status == 404 && !session_.empty()) return Close(Unavailable("session ended by the server"));
  if (IsTemporary(head.status)) return OnStreamEnd();
  stream_.none = true;
  stream_.call.reset();
}

void HttpLink::OnStreamBody(std::string_view bytes) {
  StatusOr<std::vector<mcp::SseEvent>> events = stream_.events->Feed(bytes);
  if (!events.ok()) return OnStreamEnd();
  if (!stream_.events->last_id().empty()) stream_.last_event_id = stream_.events->last_id();
  if (stream_.events->retry_millis() >= 0) stream_.retry_millis = stream_.events->retry_millis();
  if (!events->empty()) stream_.attempts = 0;
  for (mcp::SseEvent& event : *events) {
    if (event.type == "message" && !event.data.empty()) Take(std::move(event.data), 0);
  }
}

void HttpLink::OnStreamEnd() {
  if (stream_.events && std::chrono::steady_clock::now() - stream_.since > kGoodStream) stream_.attempts = 0;
  stream_.call.reset();
  ++stream_.attempts;
  upstream_->After(PauseBefore(stream_.attempts, stream_.retry_millis, kFirstReconnect), alive_,
                   [this] { OpenStream(); });
}

// ---- to the caller

// From the loop: the caller may destroy us in it.
void HttpLink::Emit(std::string line) {
  upstream_->loop().Post([events = events_, alive = std::weak_ptr<bool>(alive_), line = std::move(line)]() mutable {
    if (!alive.expired()) events->on_line(std::move(line));
  });
}

void HttpLink::Close(const Status& why) {
  if (std::exchange(closed_, true)) return;
  session_.clear();  // there is nothing left to delete
  owed_.clear();
  posts_.clear();
  queue_ = OutboundQueue();
  stream_.call.reset();
  upstream_->loop().Post([events = events_, alive = std::weak_ptr<bool>(alive_), why] {
    if (!alive.expired()) events->on_closed(why);
  });
}

}  // namespace mcpfleet::gateway
