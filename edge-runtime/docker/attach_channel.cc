#include "edge-runtime/docker/attach_channel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/limits.h"

namespace mcpfleet {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
// Lines that nobody receives: more is left with the engine.
constexpr size_t kUnreceivedBytes = size_t{16} << 20;
// What one server may have read before the others get their turn.
constexpr size_t kBytesPerTurn = size_t{512} << 10;

}  // namespace

AttachChannel::AttachChannel(std::shared_ptr<IoLoop> loop, const Clock& clock, UniqueFd connection, Events events)
    : loop_(std::move(loop)),
      clock_(clock),
      events_(std::move(events)),
      last_activity_(clock.Now().time_since_epoch().count()),
      connection_(std::move(connection)) {}

AttachChannel::~AttachChannel() {
  MutexLock lock(&mu_);
  Disconnect();
}

void AttachChannel::Begin(std::string early) {
  loop_->Post([weak = weak_from_this(), early = std::move(early)] {
    std::shared_ptr<AttachChannel> self = weak.lock();
    if (!self) return;
    self->Take(early);
    MutexLock lock(&self->mu_);
    self->begun_ = true;
    self->Watch();
  });
}

void AttachChannel::Watch() {
  if (!connection_.valid()) return;
  uint32_t events = 0;
  const bool room = receiver_ != nullptr || kept_ <= kUnreceivedBytes;
  if (begun_ && room) events |= EPOLLIN;
  if (written_ < in_.size()) events |= EPOLLOUT;
  if (events == watched_) return;
  // Not watched at all rather than for nothing: epoll reports a hang-up all the same, again and again.
  if (events == 0) {
    loop_->Remove(std::exchange(token_, 0), connection_.get());
  } else if (token_ != 0) {
    loop_->Modify(token_, connection_.get(), events);
  } else {
    token_ = loop_->Add(connection_.get(), events, [weak = weak_from_this()](uint32_t ready) {
      if (std::shared_ptr<AttachChannel> self = weak.lock()) self->OnEvents(ready);
    });
  }
  watched_ = events;
}

void AttachChannel::Disconnect() {
  closed_ = true;
  if (!connection_.valid()) return;
  loop_->Remove(std::exchange(token_, 0), connection_.get());
  watched_ = 0;
  connection_.Reset();
  in_.clear();
  written_ = 0;
}

void AttachChannel::Drop() {
  MutexLock lock(&mu_);
  Disconnect();
}

// --- to the server ---

Status AttachChannel::Send(std::string_view line, Deadline) {
  if (line.find('\n') != std::string_view::npos) return InvalidArgument("line: has a newline inside");
  if (line.size() > limits::kChildLineBytes) return InvalidArgument("line: longer than a child may be sent");
  MutexLock lock(&mu_);
  if (closed_ || close_input_ || input_closed_) return Unavailable("child: its stdin is closed");
  const size_t pending = in_.size() - written_;
  if (pending > 0 && pending + line.size() > kQueueBytes) return ResourceExhausted("child: its input queue is full");
  in_.append(line).push_back('\n');
  // Behind others it waits for the loop, which knows when the engine takes more.
  if (pending == 0) WriteSome();
  return OkStatus();
}

void AttachChannel::WriteSome() {
  while (connection_.valid() && written_ < in_.size()) {
    const ssize_t n =
        send(connection_.get(), in_.data() + written_, in_.size() - written_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      written_ += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      // The engine closed this half: the server has closed its stdin, or is gone, which the other half tells.
      input_closed_ = true;
      written_ = in_.size();
    }
  }
  if (written_ == in_.size()) {
    in_ = std::string();  // gives a large line's memory back
    written_ = 0;
    if (close_input_) EndInput();
  } else if (written_ > kQueueBytes) {
    in_.erase(0, std::exchange(written_, 0));
  }
  Watch();
}

void AttachChannel::EndInput() {
  if (!connection_.valid() || std::exchange(input_closed_, true)) return;
  shutdown(connection_.get(), SHUT_WR);
}

void AttachChannel::CloseInput() {
  MutexLock lock(&mu_);
  close_input_ = true;
  if (written_ == in_.size()) EndInput();
}

// --- from the server ---

void AttachChannel::OnEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    MutexLock lock(&mu_);
    WriteSome();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadSome();
}

void AttachChannel::ReadSome() {
  std::string bytes(kReadBytes, '\0');
  for (size_t turn = 0; turn < kBytesPerTurn; turn += kReadBytes) {
    ssize_t n = 0;
    int error = 0;
    {
      MutexLock lock(&mu_);
      if (!connection_.valid() || (watched_ & EPOLLIN) == 0) return;
      n = recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      error = errno;
    }
    if (n < 0 && (error == EAGAIN || error == EINTR)) return;
    if (n < 0) return End(Message(ErrnoStatus(error, "the engine's connection")));
    if (n == 0) return End("");
    last_activity_ = clock_.Now().time_since_epoch().count();
    Take(std::string_view(bytes).substr(0, static_cast<size_t>(n)));
    if (static_cast<size_t>(n) < bytes.size()) return;
  }
}

void AttachChannel::Take(std::string_view bytes) {
  if (closed_) return;
  const Status framed = frames_.Feed(bytes);
  DockerFrame frame;
  while (frames_.Next(&frame)) {
    if (frame.stream == 2) {
      events_.log(frame.bytes);
    } else {
      out_ += frame.bytes;
      kept_ += frame.bytes.size();
    }
  }
  if (!framed.ok()) return End(Message(framed));
  Deliver();
  MutexLock lock(&mu_);
  Watch();
}

void AttachChannel::End(const std::string& why) {
  {
    MutexLock lock(&mu_);
    if (closed_) return;
    Disconnect();
  }
  events_.ended(why);
}

void AttachChannel::SetReceiver(std::function<void(std::string line)> receiver) {
  const bool receives = static_cast<bool>(receiver);
  {
    MutexLock lock(&mu_);
    receiver_ = receives ? std::make_shared<std::function<void(std::string)>>(std::move(receiver)) : nullptr;
    while (!loop_->InLoop() && delivering_) idle_.Wait(&mu_);
    if (!receives) return;
  }
  loop_->Post([weak = weak_from_this()] {
    std::shared_ptr<AttachChannel> self = weak.lock();
    if (!self) return;
    self->Deliver();
    MutexLock lock(&self->mu_);
    self->Watch();
  });
}

bool AttachChannel::NextLine(Receiver* receiver, std::string_view* line) {
  MutexLock lock(&mu_);
  if (delivering_ || !receiver_) return false;
  const size_t end = out_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = out_.size();
    return false;
  }
  *receiver = receiver_;
  *line = std::string_view(out_).substr(delivered_, end - delivered_);
  line_end_ = end + 1;
  return delivering_ = true;
}

void AttachChannel::Deliver() {
  Receiver receiver;
  std::string_view line;
  bool too_long = false;
  while (!too_long && NextLine(&receiver, &line)) {
    too_long = line.size() > limits::kChildLineBytes;
    if (!too_long) (*receiver)(std::string(line));
    kept_ -= line_end_ - delivered_;
    delivered_ = scanned_ = line_end_;
    MutexLock lock(&mu_);
    delivering_ = false;
    idle_.NotifyAll();
  }
  if (delivered_ > 0) {
    out_.erase(0, delivered_);
    scanned_ -= delivered_;
    delivered_ = 0;
    if (out_.empty()) out_ = std::string();  // gives a large line's memory back
  }
  // With a receiver all of it was searched for a newline. Without one nothing is read any more at this size.
  if (too_long || (scanned_ == out_.size() && out_.size() > limits::kChildLineBytes)) {
    End("the server wrote a line longer than 16 MiB");
  }
}

Status AttachChannel::SaveNote(std::string_view) { return Unimplemented("an attached server has no place for a note"); }

}  // namespace mcpfleet
