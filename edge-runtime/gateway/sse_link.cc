#include "edge-runtime/gateway/sse_link.h"

#include <utility>

#include "base/log.h"
#include "edge-runtime/gateway/http_rules.h"
#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {
namespace {

using std::chrono::seconds;

// For the first event, which every server sends at once.
constexpr Duration kEndpointTime = seconds(30);
constexpr Duration kAfterCancel = seconds(5);
constexpr size_t kMaxRefusal = size_t{64} << 10;
constexpr size_t kMaxTarget = 4096;
constexpr http::AsyncLimits kOneWay = {.total = seconds(30), .max_body = kMaxRefusal};
// A server may keep a POST until the request is done.
constexpr http::AsyncLimits kRequest = {.max_body = kMaxRefusal};

}  // namespace

SseLink::~SseLink() { alive_.reset(); }

void SseLink::Start(Events events) {
  events_ = std::make_shared<Events>(std::move(events));
  http::Request request = upstream_->NewRequest("GET");
  request.headers.Set("Accept", "text/event-stream");
  stream_ = upstream_->client().Send(
      request,
      {.on_head = [this](const http::Response& head) { OnStreamHead(head); },
       .on_body = [this](std::string_view bytes) { OnStreamBody(bytes); },
       .on_done =
           [this](const Status& status) {
             Close(Unavailable(status.ok() ? "the stream of the upstream server has ended" : DescribeFailure(status)));
           }});
  upstream_->After(kEndpointTime, alive_, [this] {
    if (target_.empty()) Close(Unavailable("the upstream server does not say where to send messages"));
  });
}

Status SseLink::Send(std::string_view line) {
  if (closed_) return Unavailable("the stream of the server has ended");
  ASSIGN_OR_RETURN(Outbound message, ReadOutbound(line));
  if (!message.cancels.empty() && TakeCancel(message.cancels)) return OkStatus();
  if (message.request() && (owed_.contains(message.id) || queue_.Waits(message.id)))
    return InvalidArgument("id " + message.id + ": a request with it is under way");
  RETURN_IF_ERROR(queue_.Add(std::move(message)));
  Pump();
  return OkStatus();
}

void SseLink::Pause(bool paused) {
  if (stream_ != nullptr) paused ? stream_->Pause() : stream_->Resume();
}

// False: the notification must go to the server.
bool SseLink::TakeCancel(std::string_view id) {
  if (queue_.Remove(id)) return true;  // it never left
  const auto owed = owed_.find(id);
  if (owed == owed_.end()) return false;
  owed_.erase(owed);
  for (const auto& [number, post] : posts_) {
    if (post.message.id != id) continue;
    upstream_->After(kAfterCancel, alive_, [this, number = number] {
      if (posts_.contains(number)) End(number);
    });
  }
  return false;
}

void SseLink::OnStreamHead(const http::Response& head) {
  if (head.status == 200 && MediaTypeOf(head) == "text/event-stream") return;
  Close(Unavailable(head.status == 200 ? "the upstream server has no event stream at its URL"
                                       : DescribeHttpStatus(head.status)));
}

void SseLink::OnStreamBody(std::string_view bytes) {
  StatusOr<std::vector<mcp::SseEvent>> events = parser_.Feed(bytes);
  if (!events.ok()) return Close(Unavailable("a message of the upstream server is larger than 16 MiB"));
  for (mcp::SseEvent& event : *events) {
    if (event.type == "endpoint" && target_.empty()) OnEndpoint(event.data);
    if (closed_) return;
    if (event.type == "message" && !event.data.empty()) Take(std::move(event.data));
  }
}

void SseLink::OnEndpoint(std::string_view reference) {
  const StatusOr<http::Url> url = http::ResolveUrl(upstream_->url(), reference);
  if (!url.ok() || !http::SameOrigin(*url, upstream_->url()) || url->target.size() > kMaxTarget)
    return Close(FailedPrecondition("the upstream server wants messages sent to another origin, or to no URL"));
  target_ = url->target;
  Pump();
}

void SseLink::Take(std::string text) {
  for (std::string& line : MessagesIn(std::move(text))) {
    const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
    if (!envelope.ok()) continue;
    if (envelope->kind == mcp::MessageKind::kResult || envelope->kind == mcp::MessageKind::kError) {
      const auto owed = owed_.find(envelope->id.In(line));
      if (owed == owed_.end()) continue;  // answered before, or cancelled
      owed_.erase(owed);
    }
    Emit(std::move(line));
  }
}

void SseLink::Pump() {
  if (closed_ || target_.empty()) return;
  while (std::optional<Outbound> message = queue_.Next()) Begin(*std::move(message));
}

void SseLink::Begin(Outbound message) {
  const uint64_t number = ++last_post_;
  Post& post = posts_[number];
  if (message.request()) owed_.insert(message.id);
  http::Request request = upstream_->NewRequest("POST");
  request.target = target_;
  request.headers.Set("Content-Type", "application/json");
  request.body = std::exchange(message.line, {});
  const bool one_way = !message.request();
  post.message = std::move(message);
  post.call = upstream_->client().Send(
      request,
      {.on_head = [this, number](const http::Response& head) { posts_.at(number).status = head.status; },
       .on_body = [this, number](std::string_view bytes) { posts_.at(number).body.append(bytes); },
       .on_done = [this, number](const Status& status) { OnPosted(number, status); }},
      one_way ? kOneWay : kRequest);
}

void SseLink::OnPosted(uint64_t number, const Status& status) {
  const Post& post = posts_.at(number);
  const bool accepted = post.status / 100 == 2;
  if (!accepted && owed_.contains(post.message.id)) JudgeRefusal(post, status);
  End(number);
}

// The request's answer: what the server says in the body if that is one, else an error of ours.
void SseLink::JudgeRefusal(const Post& post, const Status& status) {
  if (!status.ok())
    LOG_WARNING("upstream request failed", {{"host", upstream_->url().host_header}, {"error", Message(status)}});
  Take(post.body);
  if (owed_.erase(post.message.id) == 0) return;
  Emit(mcp::SerializeError(post.message.id, mcp::kInternalError,
                           status.ok() ? DescribeHttpStatus(post.status) : DescribeFailure(status)));
}

void SseLink::End(uint64_t number) {
  const auto post = posts_.find(number);
  if (post->second.message.barrier()) queue_.PassBarrier();
  queue_.End(post->second.message);
  posts_.erase(post);
  Pump();
}

// From the loop: the caller may destroy us in it.
void SseLink::Emit(std::string line) {
  upstream_->loop().Post([events = events_, alive = std::weak_ptr<bool>(alive_), line = std::move(line)]() mutable {
    if (!alive.expired()) events->on_line(std::move(line));
  });
}

void SseLink::Close(const Status& why) {
  if (std::exchange(closed_, true)) return;
  stream_.reset();
  posts_.clear();
  owed_.clear();
  queue_ = OutboundQueue();
  upstream_->loop().Post([events = events_, alive = std::weak_ptr<bool>(alive_), why] {
    if (!alive.expired()) events->on_closed(why);
  });
}

}  // namespace mcpfleet::gateway
