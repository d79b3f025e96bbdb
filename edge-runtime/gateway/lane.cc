#include "edge-runtime/gateway/lane.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"

namespace mcpfleet::gateway {
namespace {

// Our ids are positive integers; whatever else a server answers is none of them.
uint64_t NumberOf(std::string_view token) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
  return error == std::errc() && end == token.data() + token.size() ? number : 0;
}

}  // namespace

std::string Incoming::WithId(std::string_view id) const& {
  return mcp::ApplyEdits(text, {{envelope.id, std::string(id)}});
}

std::string Incoming::WithId(std::string_view id) && {
  text.replace(envelope.id.at, envelope.id.size, id);
  return std::move(text);
}

// Not at once: we may be inside of a call of the link.
void Lane::DropLink() {
  if (link_ == nullptr) return;
  loop_.Post([link = std::shared_ptr<Link>(std::move(link_))] {});
}

Lane::~Lane() { DropLink(); }

void Lane::Start(Events events) {
  events_ = std::move(events);
  link_->Start({.on_line =
                    [weak = weak_from_this()](std::string line) {
                      if (auto self = weak.lock()) self->OnLine(std::move(line));
                    },
                .on_closed =
                    [weak = weak_from_this()](const Status& why) {
                      if (auto self = weak.lock()) self->OnClosed(why);
                    }});
}

StatusOr<uint64_t> Lane::Dispatch(uint64_t id, const std::string& line, std::string token, CallEvents events) {
  if (link_ == nullptr) return Unavailable("the server has ended");
  if (calls_.size() >= kMaxCalls) return ResourceExhausted("too many calls wait for this server");
  RETURN_IF_ERROR(link_->Send(line));
  calls_.emplace(id, Call{std::move(token), std::move(events)});
  return id;
}

StatusOr<uint64_t> Lane::Request(std::string_view text, const mcp::Envelope& envelope, std::vector<mcp::Edit> edits,
                                 CallEvents events) {
  const uint64_t id = next_++;
  edits.push_back({envelope.id, std::to_string(id)});
  const mcp::Span token = mcp::FindMember(text, mcp::FindMember(text, envelope.params, "_meta"), "progressToken");
  if (token) edits.push_back({token, std::to_string(id)});
  return Dispatch(id, mcp::OneLine(mcp::ApplyEdits(text, std::move(edits))), std::string(token.In(text)),
                  std::move(events));
}

StatusOr<uint64_t> Lane::Request(std::string_view method, const Json& params, CallEvents events) {
  const uint64_t id = next_++;
  return Dispatch(id, mcp::SerializeRequest(std::to_string(id), method, params), "", std::move(events));
}

void Lane::Continue(const Kept& kept, CallEvents events) {
  calls_.emplace(kept.call, Call{kept.token, std::move(events)});
}

void Lane::Fail(uint64_t call, int64_t code, std::string_view message) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  CallEvents events = std::move(it->second.events);
  calls_.erase(it);
  Incoming answer{ErrorText(std::to_string(call), code, message), {}};
  if (StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(answer.text, mcp::Validation::kEnvelope); envelope.ok())
    answer.envelope = *std::move(envelope);
  if (events.answer) events.answer(std::move(answer));
}

void Lane::FailAfter(Duration time, uint64_t call, std::string message) {
  loop_.PostAt(loop_.Now() + time, [weak = weak_from_this(), call, message = std::move(message)] {
    const auto self = weak.lock();
    if (self == nullptr || !self->calls_.contains(call)) return;
    self->Fail(call, mcp::kInternalError, message);
  });
}

void Lane::SetToken(uint64_t call, std::string token) {
  if (auto it = calls_.find(call); it != calls_.end()) it->second.token = std::move(token);
}

void Lane::Cancel(uint64_t call, std::string_view reason) {
  if (calls_.erase(call) == 0 || link_ == nullptr) return;
  std::string line = R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)";
  line += std::to_string(call);
  if (!reason.empty()) line.append(R"(,"reason":)").append(reason);
  (void)link_->Send(mcp::OneLine(line + "}}"));  // a server that is gone needs no telling
}

Status Lane::Send(std::string line) {
  if (link_ == nullptr) return Unavailable("the server has ended");
  return link_->Send(mcp::OneLine(std::move(line)));
}

void Lane::Keep(std::string_view note) {
  if (link_ != nullptr) link_->Keep(note);
}

void Lane::Pause(bool paused) {
  if (link_ != nullptr) link_->Pause(paused);
}

void Lane::SettleDoubt() {
  if (link_ != nullptr) link_->SettleDoubt();
}

void Lane::Release() {
  if (link_ != nullptr) link_->Release();
}

void Lane::OnLine(std::string line) {
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok()) {
    if (Trim(line).empty()) return;
    if (stray_lines_++ == 0) {
      LOG_WARNING("a server writes to stdout what is no JSON-RPC",
                  {{"line", Printable(line, 160)}, {"error", envelope.status()}});
    }
    return;
  }
  const auto self = shared_from_this();  // whoever is called may let go of us
  Incoming message{std::move(line), *std::move(envelope)};
  switch (message.envelope.kind) {
    case mcp::MessageKind::kRequest:
      if (message.envelope.method == "ping") {
        (void)Send(ResultText(message.Part(message.envelope.id), "{}"));
      } else if (events_.request) {
        events_.request(std::move(message));
      }
      return;
    case mcp::MessageKind::kNotification:
      if (message.envelope.method == "notifications/progress") return OnProgress(message);
      if (events_.notification) events_.notification(std::move(message));
      return;
    case mcp::MessageKind::kResult:
    case mcp::MessageKind::kError:
      return OnAnswer(std::move(message));
  }
}

void Lane::OnProgress(const Incoming& message) {
  const mcp::Span token = mcp::FindMember(message.text, message.envelope.params, "progressToken");
  auto it = calls_.find(NumberOf(message.Part(token)));
  if (it == calls_.end() || it->second.token.empty() || !it->second.events.progress) return;
  const auto progress = it->second.events.progress;
  progress(mcp::ApplyEdits(message.text, {{token, it->second.token}}));
}

void Lane::OnAnswer(Incoming message) {
  auto it = calls_.find(NumberOf(message.Part(message.envelope.id)));
  if (it == calls_.end()) return;  // cancelled, or of the mcplet before and failed since
  CallEvents events = std::move(it->second.events);
  calls_.erase(it);
  if (events.answer) events.answer(std::move(message));
}

void Lane::OnClosed(const Status& why) {
  const auto self = shared_from_this();
  DropLink();
  while (!calls_.empty()) {
    Fail(calls_.begin()->first, mcp::kInternalError, "the server has ended: " + Message(why));
  }
  if (auto closed = std::exchange(events_.closed, nullptr)) closed(why);
}

}  // namespace mcpfleet::gateway
