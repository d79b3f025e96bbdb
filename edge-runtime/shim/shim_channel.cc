#include "edge-runtime/shim/shim_channel.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/log.h"

namespace mcpfleet {
namespace {
// What one child may have read before the others get their turn.
constexpr size_t kBytesPerTurn = size_t{512} << 10;
// Longer than what is kept for a client that comes back: not worth being in memory twice for the next mcplet's sake.
constexpr size_t kLongLine = size_t{1} << 20;
}  // namespace

ShimChannel::ShimChannel(std::shared_ptr<IoLoop> loop, const Clock& clock, UniqueFd in_w, UniqueFd out_r,
                         std::unique_ptr<shim::Journal> journal)
    : loop_(std::move(loop)),
      clock_(clock),
      journal_(std::move(journal)),
      last_activity_(clock.Now().time_since_epoch().count()),
      in_w_(std::move(in_w)),
      out_r_(std::move(out_r)) {}

ShimChannel::~ShimChannel() {
  MutexLock lock(&mu_);
  CloseIn();
  UnwatchOut();
}

Status ShimChannel::Send(std::string_view line, Deadline) {
  if (line.find('\n') != std::string_view::npos) return InvalidArgument("line: has a newline inside");
  MutexLock lock(&mu_);
  if (closed_ || !in_w_.valid()) return Unavailable("child: its stdin is closed");
  size_t pending = journal_->InPending();
  if (pending > 0 && pending + line.size() > kQueueBytes) return ResourceExhausted("child: its input queue is full");
  RETURN_IF_ERROR(journal_->InAppend(line));
  // Behind others it waits for the I/O thread, which knows when the pipe takes more.
  if (in_token_ == 0) WriteSome();
  return OkStatus();
}

void ShimChannel::Resume() {
  MutexLock lock(&mu_);
  if (in_w_.valid() && in_token_ == 0) WriteSome();
}

std::string ShimChannel::DoubtfulLine() const {
  MutexLock lock(&mu_);
  return journal_->DoubtfulLine();
}

void ShimChannel::SettleDoubt() {
  MutexLock lock(&mu_);
  journal_->SettleDoubt();
  if (in_w_.valid() && in_token_ == 0) WriteSome();
}

void ShimChannel::WriteSome() {
  for (std::string_view piece = journal_->InPiece(); !piece.empty(); piece = journal_->InPiece()) {
    journal_->InBegin();
    ssize_t n = write(in_w_.get(), piece.data(), piece.size());
    int error = errno;
    journal_->InEnd(n > 0 ? static_cast<size_t>(n) : 0);
    if (n > 0 || (n < 0 && error == EINTR)) continue;
    if (error == EAGAIN) {
      if (in_token_ == 0) {
        std::weak_ptr<ShimChannel> weak = weak_from_this();
        in_token_ = loop_->Add(in_w_.get(), EPOLLOUT, [weak](uint32_t) {
          if (auto self = weak.lock()) self->OnWritable();
        });
      }
      return;
    }
    // EPIPE: the child has closed its stdin.
    CloseIn();
    return;
  }
  if (in_token_ != 0) {
    loop_->Remove(in_token_, in_w_.get());
    in_token_ = 0;
  }
}

void ShimChannel::OnWritable() {
  MutexLock lock(&mu_);
  if (in_w_.valid()) WriteSome();
}

void ShimChannel::CloseIn() {
  if (!in_w_.valid()) return;
  loop_->Remove(in_token_, in_w_.get());
  in_token_ = 0;
  in_w_.Reset();
  journal_->InDiscard();
}

void ShimChannel::MarkClosed() {
  closed_ = true;
  CloseInput();
}

void ShimChannel::CloseInput() {
  MutexLock lock(&mu_);
  CloseIn();
}

void ShimChannel::WatchOut() {
  if (out_token_ != 0 || out_ended_) return;
  std::weak_ptr<ShimChannel> weak = weak_from_this();
  out_token_ = loop_->Add(out_r_.get(), EPOLLIN, [weak](uint32_t) {
    if (auto self = weak.lock()) self->OnReadable();
  });
}

void ShimChannel::UnwatchOut() {
  if (out_token_ == 0) return;
  loop_->Remove(out_token_, out_r_.get());
  out_token_ = 0;
}

void ShimChannel::SetReceiver(std::function<void(std::string line)> receiver) {
  bool receives = static_cast<bool>(receiver);
  {
    MutexLock lock(&mu_);
    receiver_ = receives ? std::make_shared<std::function<void(std::string)>>(std::move(receiver)) : nullptr;
    if (!receives) UnwatchOut();
    while (!loop_->InLoop() && delivering_) idle_.Wait(&mu_);
    if (!receives) return;
    WatchOut();
  }
  // Lines may wait in the journal with nothing more in the pipe.
  std::weak_ptr<ShimChannel> weak = weak_from_this();
  loop_->Post([weak] {
    if (auto self = weak.lock()) self->Deliver();
  });
}

Status ShimChannel::SaveNote(std::string_view note) {
  MutexLock lock(&mu_);
  return journal_->SaveNote(note);
}

std::string ShimChannel::LoadNote() const {
  MutexLock lock(&mu_);
  return journal_->LoadNote();
}

// Bytes read; 0 when there is nothing more for now, or ever.
ssize_t ShimChannel::ReadTo(char* at, size_t size) {
  ssize_t n;
  do {
    n = read(out_r_.get(), at, size);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    last_activity_ = clock_.Now().time_since_epoch().count();
    return n;
  }
  if (n < 0 && errno == EAGAIN) return 0;
  closed_ = true;
  MutexLock lock(&mu_);
  out_ended_ = true;
  UnwatchOut();
  return 0;
}

// One read; false when there is nothing more for now.
bool ShimChannel::ReadSome() {
  if (long_line_ != nullptr && !long_line_->complete) return ReadLongLine();
  const shim::Journal::Room room = journal_->OutRoom();
  const ssize_t n = ReadTo(room.at, room.size);
  if (n > 0) journal_->OutDidRead(static_cast<size_t>(n));
  return n > 0 && static_cast<size_t>(n) == room.size;
}

void ShimChannel::BeginLongLine() {
  std::string begin;
  if (!journal_->OutSpill(kLongLine, &begin)) return;
  long_line_ = std::make_unique_for_overwrite<LongLine>();
  // Address space only; what the line fills of it is in large pages where the system has some.
  std::string& text = long_line_->text;
  text.reserve(limits::kChildLineBytes + shim::kOutPipeBytes);
  const size_t page = 4096, before = -reinterpret_cast<uintptr_t>(text.data()) & (page - 1);
  madvise(text.data() + before, (text.capacity() - before) / page * page, MADV_HUGEPAGE);
  text += begin;
}

bool ShimChannel::ReadLongLine() {
  LongLine& line = *long_line_;
  const ssize_t n = ReadTo(line.chunk, sizeof line.chunk);
  if (n <= 0) return false;
  const std::string_view bytes(line.chunk, static_cast<size_t>(n));
  const size_t end = bytes.find('\n');
  line.text.append(bytes.substr(0, end));
  const bool too_long = line.text.size() > limits::kChildLineBytes;
  if (too_long) journal_->OutGiveUp();
  line.complete = end != std::string_view::npos && !too_long;
  if (end != std::string_view::npos) journal_->OutPutBack(bytes.substr(end + 1));
  if (too_long) long_line_.reset();
  return bytes.size() == sizeof line.chunk;
}

void ShimChannel::OnReadable() {
  for (size_t bytes = 0; bytes < kBytesPerTurn; bytes += shim::kOutPipeBytes) {
    {
      MutexLock lock(&mu_);
      if (!receiver_) return;
    }
    bool more = ReadSome();
    Deliver();
    if (long_line_ == nullptr) BeginLongLine();
    if (!more) return;
  }
}

bool ShimChannel::NextLine(Receiver* receiver, std::string* line) {
  MutexLock lock(&mu_);
  if (delivering_ || !receiver_) return false;
  *receiver = receiver_;
  taken_ = long_line_ != nullptr && long_line_->complete;
  if (taken_) {
    *line = std::move(std::exchange(long_line_, nullptr)->text);
    return delivering_ = true;
  }
  std::string_view next;
  delivering_ = long_line_ == nullptr && journal_->OutLine(&next);
  if (delivering_) *line = next;
  if (journal_->out_dropped() != dropped_) {
    dropped_ = journal_->out_dropped();
    LOG_WARNING("child wrote a line longer than the limit; it was thrown away");
  }
  return delivering_;
}

void ShimChannel::Delivered() {
  MutexLock lock(&mu_);
  if (!taken_) journal_->OutConsume();
  delivering_ = false;
  idle_.NotifyAll();
}

void ShimChannel::Deliver() {
  Receiver receiver;
  std::string line;
  while (NextLine(&receiver, &line)) {
    (*receiver)(std::exchange(line, {}));
    Delivered();
  }
  TellEnd();
}

void ShimChannel::SetEnded(std::function<void()> ended) {
  MutexLock lock(&mu_);
  ended_ = std::move(ended);
}

void ShimChannel::TellEnd() {
  std::function<void()> ended;
  {
    MutexLock lock(&mu_);
    if (!out_ended_ || delivering_ || !receiver_) return;
    ended = std::exchange(ended_, nullptr);
  }
  if (ended) ended();
}

}  // namespace mcpfleet
