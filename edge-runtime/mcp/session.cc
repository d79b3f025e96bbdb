#include "edge-runtime/mcp/session.h"

#include "base/limits.h"
#include "base/strings.h"

namespace mcpfleet::mcp {
namespace {

constexpr int kNoteFormat = 1;
// The note is saved once for so many ids, not for each.
constexpr uint64_t kIdBlock = 1000;

bool IsListChanged(std::string_view method) {
  return method == "notifications/tools/list_changed" || method == "notifications/resources/list_changed" ||
         method == "notifications/prompts/list_changed";
}

}  // namespace

std::string AnswerServerRequest(const Message& request) {
  if (request.method == "ping") return SerializeResult(request.id, Json::object());
  return SerializeError(request.id, kMethodNotFound, "this client offers no " + Printable(request.method, 100));
}

Session::Session(ClientIdentity identity, Era known, std::string_view note)
    : identity_(identity), handshake_(std::move(identity), known) {
  if (note.empty()) return;
  StatusOr<Json> parsed = ParseJson(note, {.bytes = size_t{64} << 10, .depth = 8});
  if (!parsed.ok() || GetInt(*parsed, "format") != kNoteFormat) return;
  StatusOr<Handshake> continued = Handshake::FromNote(identity_, GetMember(*parsed, "handshake"));
  int64_t next_id = GetInt(*parsed, "nextId");
  if (!continued.ok() || next_id < 1) return;
  handshake_ = *std::move(continued);
  next_id_ = reserved_ = static_cast<uint64_t>(next_id);
}

std::vector<Outgoing> Session::Begin() {
  if (handshake_.phase() == Handshake::Phase::kReady) return handshake_.Owed();
  std::vector<Outgoing> out = handshake_.Start(&next_id_);
  ReserveIds();
  note_changed_ = note_changed_ || !out.empty();
  return out;
}

std::vector<Outgoing> Session::OnNoDiscoverAnswer() {
  std::vector<Outgoing> out = handshake_.OnNoDiscoverAnswer(&next_id_);
  ReserveIds();
  note_changed_ = note_changed_ || !out.empty();
  return out;
}

std::vector<Outgoing> Session::OnLine(std::string_view line) {
  if (Trim(line).empty()) return {};
  StatusOr<Message> message = ParseMessage(line, {.bytes = limits::kParsedMessageBytes, .depth = 64});
  if (!message.ok()) {
    if (stray_lines_++ == 0) first_stray_line_ = Printable(line, 160);
    return {};
  }
  ++messages_;
  switch (message->kind) {
    case MessageKind::kRequest:
      return {{"", "", AnswerServerRequest(*message)}};
    case MessageKind::kNotification:
      catalog_dirty_ = catalog_dirty_ || IsListChanged(message->method);
      return {};
    case MessageKind::kResult:
    case MessageKind::kError:
      return OnResponse(*std::move(message));
  }
  return {};
}

std::vector<Outgoing> Session::OnResponse(Message response) {
  if (handshake_.Owns(response.id)) {
    std::vector<Outgoing> out = handshake_.OnResponse(response, &next_id_);
    ReserveIds();
    note_changed_ = true;
    return out;
  }
  auto it = pending_.find(response.id);
  // Answers that nobody waits for any more: cancelled, or asked by the mcplet before this one.
  if (it != pending_.end() && !it->second) it->second = std::move(response);
  return {};
}

std::vector<Outgoing> Session::OnLost(std::string_view line) {
  StatusOr<Message> request = ParseMessage(line, {.bytes = limits::kParsedMessageBytes, .depth = 64});
  if (!request.ok() || request->kind != MessageKind::kRequest) return {};
  Message failed;
  failed.kind = MessageKind::kError;
  failed.id = request->id;
  failed.error_code = kInternalError;
  failed.error_message = "mcplet ended while it sent " + Printable(request->method, 100);
  return OnResponse(std::move(failed));
}

void Session::OnSent(const Outgoing& message) {
  if (message.method != "notifications/initialized") return;
  handshake_.OnAnnounced();
  note_changed_ = true;
}

StatusOr<Outgoing> Session::Call(std::string_view method, Json params) {
  if (handshake_.phase() != Handshake::Phase::kReady) return FailedPrecondition("no handshake yet");
  if (pending_.size() >= kMaxPending) return ResourceExhausted("too many calls wait for this server");
  if (handshake_.peer().era == Era::kModern) {
    params = WithModernMeta(std::move(params), identity_.name, identity_.version);
  }
  std::string id = std::to_string(next_id_++);
  ReserveIds();
  pending_.emplace(id, std::nullopt);
  std::string line = SerializeRequest(id, method, params);
  return Outgoing{std::move(id), std::string(method), std::move(line)};
}

std::optional<Message> Session::TakeAnswer(const std::string& id) {
  auto it = pending_.find(id);
  if (it == pending_.end() || !it->second) return std::nullopt;
  std::optional<Message> answer = std::move(it->second);
  pending_.erase(it);
  return answer;
}

std::vector<Outgoing> Session::Cancel(const std::string& id, std::string_view reason) {
  auto it = pending_.find(id);
  if (it == pending_.end()) return {};
  bool answered = it->second.has_value();
  pending_.erase(it);
  if (answered) return {};
  Json params = {{"requestId", Json::parse(id, nullptr, false)}, {"reason", std::string(reason)}};
  return {{"", "notifications/cancelled", SerializeNotification("notifications/cancelled", params)}};
}

void Session::ReserveIds() {
  if (next_id_ <= reserved_) return;
  reserved_ = next_id_ + kIdBlock;
  note_changed_ = true;
}

std::string Session::ToNote() const {
  return DumpJson({{"format", kNoteFormat}, {"nextId", reserved_}, {"handshake", handshake_.ToNote()}});
}

}  // namespace mcpfleet::mcp
