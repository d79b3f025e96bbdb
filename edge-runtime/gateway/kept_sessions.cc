#include "edge-runtime/gateway/kept_sessions.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxNoteBytes = size_t{47} << 10;  // SessionNote takes no more
constexpr size_t kMaxFileBytes = size_t{64} << 10;  // and the longer rest of an older one
// No session lives that long: of servers that never came back.
constexpr auto kOldest = std::chrono::hours(7 * 24);
// The gateway's own requests; sessions count from 1.
constexpr uint64_t kOwn = uint64_t{1} << 63;
constexpr uint64_t kOwnHandshake = kOwn;
// That wait for the handshake: more is a client that does not wait for its own.
constexpr size_t kMaxNotifications = 64;

// "namespace/name length\n" and the note. Written over what was there: a longer rest behind it means nothing.
std::string FileText(const ServerKey& server, const std::string& note) {
  return ToString(server) + " " + std::to_string(note.size()) + "\n" + note;
}

struct Parsed {
  ServerKey server;
  SessionNote note;
};
std::optional<Parsed> ParseFile(std::string_view text) {
  const size_t end = text.find('\n'), space = text.find(' '), slash = text.find('/');
  if (end == std::string_view::npos || space >= end || slash >= space) return std::nullopt;
  size_t size = 0;
  const auto [last, error] = std::from_chars(text.data() + space + 1, text.data() + end, size);
  if (error != std::errc() || last != text.data() + end || size > text.size() - end - 1) return std::nullopt;
  std::optional<SessionNote> note = SessionNote::FromText(text.substr(end + 1, size));
  if (!note || note->initialized.empty()) return std::nullopt;
  return Parsed{{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1, space - slash - 1))},
                *std::move(note)};
}

}  // namespace

KeptSessions::KeptSessions(std::string directory) : directory_(std::move(directory)) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, error)) {
    std::error_code unknown;
    const bool old = fs::file_time_type::clock::now() - entry.last_write_time(unknown) > kOldest;
    if (old && !unknown) {
      fs::remove(entry.path(), unknown);
    } else {
      Read(entry.path().string());
    }
  }
}

void KeptSessions::Read(const std::string& path) {
  const StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  std::optional<Parsed> parsed = text.ok() ? ParseFile(*text) : std::nullopt;
  if (parsed && PathOf(parsed->note.session) == path) {
    found_[parsed->server].push_back(std::move(parsed->note));
  } else {
    unlink(path.c_str());  // torn, or none of ours
  }
}

std::string KeptSessions::PathOf(const std::string& session) const {
  return directory_ + "/" + Sha256Hex(session).substr(0, 32);
}

void KeptSessions::Save(const ServerKey& server, const std::string& session, const std::string& note) {
  if (note.size() > kMaxNoteBytes) return Forget(session);
  const std::string path = PathOf(session), text = FileText(server, note);
  const auto open_file = [&] { return UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); };
  UniqueFd file = open_file();
  if (!file.valid() && errno == ENOENT && MakeDirectories(directory_, 0700).ok()) file = open_file();
  const bool saved =
      file.valid() && pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  if (saved) {
    failed_ = false;
    return;
  }
  const Status why = ErrnoStatus(errno, path);
  unlink(path.c_str());  // an old one would give event ids out twice
  if (!std::exchange(failed_, true)) LOG_WARNING("sessions are not kept over a restart", {{"error", why}});
}

void KeptSessions::Forget(const std::string& session) { unlink(PathOf(session).c_str()); }

std::vector<SessionNote> KeptSessions::Take(const ServerKey& server) {
  auto node = found_.extract(server);
  return node.empty() ? std::vector<SessionNote>() : std::move(node.mapped());
}

// --- a session ----------------------------------------------------------------------------------------------------

KeptConversation::KeptConversation(Loop& loop, std::unique_ptr<Conversation> inner, KeptSessions& files,
                                   ServerKey server, SessionNote note, Duration handshake_timeout)
    : loop_(loop),
      inner_(std::move(inner)),
      files_(files),
      server_(std::move(server)),
      note_(std::move(note)),
      handshake_timeout_(handshake_timeout) {}

KeptConversation::~KeptConversation() {
  if (!released_) files_.Forget(note_.session);
}

void KeptConversation::Start(Events events) {
  events_ = std::move(events);
  inner_->Start(
      {.to_call = self_.Bind([](KeptConversation& self, uint64_t call, std::string line) {
         if (call < kOwn) self.events_.to_call(call, std::move(line));
       }),
       .question = self_.Bind([](KeptConversation& self, uint64_t call, std::string line, const Placed& placed) {
         self.events_.question(call, std::move(line), placed);
       }),
       .answer = self_.Bind(
           [](KeptConversation& self, uint64_t call, std::string line) { self.OnAnswer(call, std::move(line)); }),
       .to_session = self_.Bind([](KeptConversation& self, std::string line, About about) {
         self.events_.to_session(std::move(line), about);
       }),
       .closed = self_.Bind([](KeptConversation& self, const Status& why) { self.events_.closed(why); })});
  if (note_.initialized.empty()) return;
  // The calls of then are over, and their clients are told when they come back; until then they stay in the file.
  for (const auto& [call, kept] : note_.calls) note_.answered.Add(kept.call.stream, kept.call.id);
  note_.calls.clear();
  Save();  // at once: the mcplet after this one must not give out the ids of this one's events
  replaying_ = true;
  if (const Status said = Say(kOwnHandshake, note_.initialize); !said.ok())
    loop_.Post(self_.Bind([said](KeptConversation& self) { self.events_.closed(said); }));
  loop_.PostAt(loop_.Now() + handshake_timeout_, self_.Bind([](KeptConversation& self) {
    if (self.replaying_) self.events_.closed(Unavailable("the server did not answer the session's handshake in time"));
  }));
}

void KeptConversation::Save() {
  saved_calls_ = note_.calls.size();
  if (note_.initialized.empty()) return;
  if (fixed_.empty()) fixed_ = note_.FixedText();
  std::string text = fixed_;
  note_.AppendMoving(&text);
  files_.Save(server_, note_.session, text);
}

// A request of the gateway's own.
Status KeptConversation::Say(uint64_t call, const std::string& text) {
  Incoming message{text, {}};
  ASSIGN_OR_RETURN(message.envelope, mcp::ReadEnvelope(message.text, mcp::Validation::kEnvelope));
  return inner_->Request({call, 0, "0"}, message);
}

void KeptConversation::OnReplayed(const std::string& line) {
  const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok() || envelope->kind != mcp::MessageKind::kResult)
    return events_.closed(Unavailable("the server refused the session's handshake"));
  Replay();
  replaying_ = false;
  for (auto& [call, message] : std::exchange(queued_, {})) {
    if (call.call == 0) {
      Notify(message);
    } else if (const Status sent = Request(call, message); !sent.ok()) {
      events_.answer(call.call, ErrorText(call.id, mcp::kInternalError, Message(sent)));
    }
  }
}

void KeptConversation::Replay() {
  Incoming initialized{note_.initialized, {}};
  if (StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(initialized.text, mcp::Validation::kEnvelope);
      envelope.ok()) {
    initialized.envelope = *std::move(envelope);
    inner_->Notify(initialized);
  }
  uint64_t call = kOwnHandshake;
  // Refusals are the server's; the client would have got them as well.
  if (!note_.level.empty()) (void)Say(++call, note_.level);
  for (const std::string& uri : note_.subscriptions)
    (void)Say(++call, mcp::SerializeRequest("0", "resources/subscribe", {{"uri", uri}}));
}

Status KeptConversation::Request(const SessionCall& call, const Incoming& message) {
  if (replaying_) {
    queued_.emplace_back(call, message);
    return OkStatus();
  }
  if (note_.TakeIn(message)) fixed_.clear();
  note_.calls[call.call] = {call, "", message.envelope.method};
  Save();  // before it is sent
  Status sent = inner_->Request(call, message);
  if (!sent.ok()) note_.calls.erase(call.call);
  return sent;
}

void KeptConversation::Notify(const Incoming& message) {
  if (replaying_) {
    if (queued_notifications_++ < kMaxNotifications) queued_.emplace_back(SessionCall{}, message);
    return;
  }
  if (note_.TakeIn(message)) {
    fixed_.clear();
    Save();
  }
  inner_->Notify(message);
}

void KeptConversation::OnAnswer(uint64_t call, std::string line) {
  if (call == kOwnHandshake) return OnReplayed(line);
  if (call > kOwnHandshake) return;
  auto it = note_.calls.find(call);
  if (it != note_.calls.end() && it->second.method == "initialize") {
    if (StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope); envelope.ok())
      note_.TakeInVersion({line, *std::move(envelope)});
  }
  Over(call);
  events_.answer(call, std::move(line));
}

// The file is not written for it: it tells of the call, which is as good.
void KeptConversation::Over(uint64_t call) {
  auto it = note_.calls.find(call);
  if (it == note_.calls.end()) return;
  note_.answered.Add(it->second.call.stream, it->second.call.id);
  note_.calls.erase(it);
}

void KeptConversation::Cancel(uint64_t call, std::string_view reason) {
  std::erase_if(queued_, [call](const auto& each) { return each.first.call == call; });
  Over(call);
  inner_->Cancel(call, reason);
}

// Calls that were answered since the last one began are not lost.
void KeptConversation::Tick() {
  if (note_.calls.size() != saved_calls_) Save();
  inner_->Tick();
}

void KeptConversation::Release() {
  released_ = true;
  Save();
  inner_->Release();
}

}  // namespace mcpfleet::gateway
