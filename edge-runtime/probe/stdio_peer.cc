#include "edge-runtime/probe/stdio_peer.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

using Phase = mcp::Handshake::Phase;

// The channel tells of its end only when asked, and a full queue drains without a signal: waits look this often.
constexpr Duration kTick = std::chrono::milliseconds(20);
// Sending only queues; this bounds a host that is stuck.
constexpr Duration kSendTimeout = std::chrono::seconds(1);
// A server that prints so much before its first message will not start to speak MCP.
constexpr uint64_t kStrayLinesBeforeGivingUp = 1000;
// Lines that wait for room in the child's stdin, beyond which calls are refused.
constexpr size_t kMaxOutbox = 512;

}  // namespace

StdioPeer::StdioPeer(std::shared_ptr<StdioChannel> channel, std::shared_ptr<EraMemory> eras, StdioPeerOptions options)
    : channel_(std::move(channel)),
      eras_(std::move(eras)),
      options_(std::move(options)),
      session_(options_.identity, eras_->Get(options_.revision), channel_->LoadNote()) {}

std::shared_ptr<StdioPeer> StdioPeer::Create(std::shared_ptr<StdioChannel> channel, std::shared_ptr<EraMemory> eras,
                                             StdioPeerOptions options) {
  std::shared_ptr<StdioPeer> peer(new StdioPeer(std::move(channel), std::move(eras), std::move(options)));
  {
    MutexLock lock(&peer->mu_);
    const std::string doubtful = peer->channel_->DoubtfulLine();
    peer->Queue(peer->session_.OnLost(doubtful));
    peer->doubt_ = !doubtful.empty();
  }
  // Weak: the channel may outlive the peer, and must not keep it.
  peer->channel_->SetReceiver([weak = std::weak_ptr<StdioPeer>(peer)](std::string_view line) {
    if (std::shared_ptr<StdioPeer> self = weak.lock()) self->OnLine(line);
  });
  return peer;
}

void StdioPeer::OnLine(std::string_view line) {
  bool dirty = false;
  {
    MutexLock lock(&mu_);
    if (closed_) return;
    const bool before = session_.catalog_dirty();
    Queue(session_.OnLine(line));
    dirty = session_.catalog_dirty() && !before;
    changed_.NotifyAll();
  }
  if (dirty && options_.on_catalog_dirty) options_.on_catalog_dirty();
  Flush();
}

void StdioPeer::Queue(std::vector<mcp::Outgoing> messages) {
  for (mcp::Outgoing& message : messages) outbox_.push_back(std::move(message));
}

void StdioPeer::Flush() {
  {
    MutexLock lock(&mu_);
    if (flushing_) return;
    flushing_ = true;
  }
  while (true) {
    bool save, send;
    {
      MutexLock lock(&mu_);
      save = session_.note_changed();
      send = !outbox_.empty();
      if (!save && !send) flushing_ = false;
    }
    if (!save && !send) return SettleDoubt();
    // The note first: after a crash the next mcplet must know of an `initialize` that may have left.
    Status done = save ? SaveNote() : SendFront();
    if (done.ok()) continue;
    // Also then: a queue that is full empties only afterwards, and what is to be sent is not forgotten.
    SettleDoubt();
    MutexLock lock(&mu_);
    flushing_ = false;
    changed_.NotifyAll();
    return;
  }
}

void StdioPeer::SettleDoubt() {
  if (doubt_.exchange(false)) channel_->SettleDoubt();
}

Status StdioPeer::SaveNote() {
  std::string note;
  {
    MutexLock lock(&mu_);
    note = session_.ToNote();
    session_.SavedNote();
  }
  Status saved = channel_->SaveNote(note);
  // An attached child has no place for a note and does not outlive mcplet's connection either.
  if (saved.code() == StatusCode::kUnimplemented) saved = OkStatus();
  MutexLock lock(&mu_);
  note_failure_ = saved;
  if (!saved.ok()) session_.NoteNotSaved();
  return saved;
}

Status StdioPeer::SendFront() {
  mcp::Outgoing message;
  {
    MutexLock lock(&mu_);
    if (outbox_.empty()) return OkStatus();
    message = std::move(outbox_.front());
    outbox_.pop_front();
  }
  Status sent = channel_->Send(message.line, Deadline::After(kSendTimeout));
  MutexLock lock(&mu_);
  if (sent.ok()) {
    session_.OnSent(message);
  } else if (!channel_->closed()) {
    outbox_.push_front(std::move(message));  // full: again at the next tick or line
  }
  return sent;
}

Status StdioPeer::StartHandshake() {
  {
    MutexLock lock(&mu_);
    RETURN_IF_ERROR(Health());
    if (!std::exchange(begun_, true)) {
      Queue(session_.Begin());
      if (session_.handshake().phase() == Phase::kDiscovering) {
        discover_until_ = Deadline::After(options_.discover_timeout).at();
      }
    }
  }
  Flush();
  return OkStatus();
}

Status StdioPeer::Health() const {
  if (closed_) return Cancelled("the instance was forgotten");
  if (!channel_->closed()) return OkStatus();
  return Unavailable("the server process is gone");
}

StatusOr<mcp::PeerInfo> StdioPeer::Ready(Deadline deadline) {
  RETURN_IF_ERROR(StartHandshake());
  while (true) {
    {
      MutexLock lock(&mu_);
      Phase phase = session_.handshake().phase();
      if (phase == Phase::kReady || phase == Phase::kFailed) return Finished();
      if (Status health = Health(); !health.ok()) {
        // A server that dies of an unknown first request must not meet it again.
        if (phase == Phase::kDiscovering && !closed_) eras_->Set(options_.revision, mcp::Era::kLegacy);
        return health;
      }
      if (session_.messages() == 0 && session_.stray_lines() >= kStrayLinesBeforeGivingUp) return HandshakeTimeout();
      if (deadline.Expired()) return HandshakeTimeout();
      if (Deadline(discover_until_).Expired()) {
        discover_until_ = MonoTime::max();
        Queue(session_.OnNoDiscoverAnswer());
      } else {
        changed_.WaitUntil(&mu_, Deadline(std::min(deadline.at(), discover_until_)).AtMost(kTick));
      }
    }
    Flush();
  }
}

StatusOr<mcp::PeerInfo> StdioPeer::Finished() {
  const mcp::Handshake& handshake = session_.handshake();
  if (handshake.phase() == Phase::kFailed) {
    // The era may have been guessed from a death: let the next child be asked afresh.
    eras_->Set(options_.revision, mcp::Era::kUnknown);
    return FailedPrecondition(handshake.failure());
  }
  eras_->Set(options_.revision, handshake.peer().era);
  return handshake.peer();
}

Status StdioPeer::HandshakeTimeout() const {
  if (session_.messages() == 0 && session_.stray_lines() > 0) {
    return FailedPrecondition("stdout is not MCP: " + std::to_string(session_.stray_lines()) +
                              " lines that are no JSON-RPC, the first one \"" + session_.first_stray_line() + "\"");
  }
  if (!note_failure_.ok()) return Annotate(note_failure_, "the handshake can't be recorded");
  return DeadlineExceeded(session_.handshake().phase() == Phase::kInitializing ? "no answer to initialize"
                                                                               : "no answer to server/discover");
}

StatusOr<mcp::Message> StdioPeer::Request(const std::string& method, const Json& params, Deadline deadline) {
  std::string id;
  {
    MutexLock lock(&mu_);
    RETURN_IF_ERROR(Health());
    if (outbox_.size() >= kMaxOutbox) return ResourceExhausted("the server does not read its stdin");
    StatusOr<mcp::Outgoing> call = session_.Call(method, params);
    if (!call.ok()) return call.status();
    id = call->id;
    outbox_.push_back(*std::move(call));
  }
  Status end;
  while (end.ok()) {
    Flush();
    MutexLock lock(&mu_);
    if (std::optional<mcp::Message> answer = session_.TakeAnswer(id)) return *std::move(answer);
    end = Health();
    if (end.ok() && deadline.Expired()) end = DeadlineExceeded("no answer to " + method);
    if (end.ok()) {
      changed_.WaitUntil(&mu_, deadline.AtMost(kTick));
    } else {
      Abandon(id, end.code() == StatusCode::kDeadlineExceeded);
    }
  }
  Flush();
  return end;
}

void StdioPeer::Abandon(const std::string& id, bool tell) {
  std::vector<mcp::Outgoing> cancel = session_.Cancel(id, "timed out");
  auto unsent = std::find_if(outbox_.begin(), outbox_.end(), [&](const mcp::Outgoing& m) { return m.id == id; });
  if (unsent != outbox_.end()) {
    outbox_.erase(unsent);
  } else if (tell) {
    Queue(std::move(cancel));
  }
}

bool StdioPeer::CatalogDirty() const {
  MutexLock lock(&mu_);
  return session_.catalog_dirty();
}

void StdioPeer::ClearCatalogDirty() {
  MutexLock lock(&mu_);
  session_.ClearCatalogDirty();
}

void StdioPeer::Close() {
  {
    MutexLock lock(&mu_);
    if (std::exchange(closed_, true)) return;
    // It died of server/discover while nobody was waiting (see Ready).
    bool unanswered = session_.handshake().phase() == Phase::kDiscovering;
    if (unanswered && channel_->closed()) eras_->Set(options_.revision, mcp::Era::kLegacy);
    changed_.NotifyAll();
  }
  channel_->SetReceiver(nullptr);
}

}  // namespace mcpfleet
