#include "edge-runtime/shim/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mcpfleet::shim {
namespace {

constexpr uint64_t kMagic = 0x6c6e724a70434d31;
constexpr uint64_t kJournalVersion = 3;
constexpr uint64_t kSkipBit = uint64_t{1} << 63;
constexpr size_t kPage = 4096;
constexpr size_t kMaxWindow = kOutPipeBytes;
constexpr size_t kFreeAbove = size_t{32} << 10;  // give pages back instead of clearing them
constexpr uint64_t kMaxPosition = uint64_t{1} << 62;
constexpr uint64_t kBusyWithNewline = ~uint64_t{0};

static_assert(sizeof(JournalHeader) <= Journal::kHeaderBytes);
static_assert(Journal::kHeaderBytes + 2 * Journal::kNoteBytes <= Journal::kRingsAt);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Two views of the same pages, one behind the other.
char* MapRing(int fd, size_t offset) {
  void* space = mmap(nullptr, 2 * Journal::kRingBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return nullptr;
  char* at = static_cast<char*>(space);
  for (size_t i = 0; i < 2; ++i) {
    void* view = mmap(at + i * Journal::kRingBytes, Journal::kRingBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                      fd, static_cast<off_t>(offset));
    if (view == MAP_FAILED) {
      munmap(space, 2 * Journal::kRingBytes);
      return nullptr;
    }
  }
  return at;
}

uint64_t NextRing(uint64_t position) {
  return (position + Journal::kRingBytes - 1) / Journal::kRingBytes * Journal::kRingBytes;
}

// Gives whole pages back, which then read as zeros, and clears the rest.
void Zero(char* at, size_t size) {
  if (size >= kFreeAbove) {
    const size_t before = -reinterpret_cast<uintptr_t>(at) & (kPage - 1);
    const size_t after = reinterpret_cast<uintptr_t>(at + size) & (kPage - 1);
    if (madvise(at + before, size - before - after, MADV_REMOVE) == 0) {
      memset(at, 0, before);
      memset(at + size - after, 0, after);
      return;
    }
  }
  memset(at, 0, size);
}

// Makes the pages from `at` to `end` present, many in one call where the kernel can (5.14). Returns where the next one
// begins.
uint64_t MakePresent(char* at, uint64_t from, uint64_t end) {
  const uint64_t pages_end = (end + kPage - 1) / kPage * kPage;
  char* first = at - from % kPage;
  const size_t size = pages_end - from / kPage * kPage;
#ifdef MADV_POPULATE_WRITE
  if (size > kPage && madvise(first, size, MADV_POPULATE_WRITE) == 0) return pages_end;
#endif
  for (size_t done = 0; done < size; done += kPage) {
    volatile char* page = first + done;
    *page = *page;
  }
  return pages_end;
}

}  // namespace

StatusOr<std::unique_ptr<Journal>> Journal::Create(uint64_t session) {
  UniqueFd fd(memfd_create("mcpfleet-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoStatus(errno, "journal");
  if (ftruncate(fd.get(), kFileBytes) != 0) return ErrnoStatus(errno, "journal");
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return ErrnoStatus(errno, "journal: seal");
  std::unique_ptr<Journal> journal(new Journal(std::move(fd)));
  RETURN_IF_ERROR(journal->Map());
  journal->header_->session = session;
  journal->header_->version = kJournalVersion;
  journal->header_->magic = kMagic;
  return journal;
}

StatusOr<std::unique_ptr<Journal>> Journal::Adopt(UniqueFd fd, uint64_t session) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "journal");
  int seals = fcntl(fd.get(), F_GET_SEALS);
  // A file that could shrink would end us with SIGBUS.
  if (!S_ISREG(info.st_mode) || info.st_size != static_cast<off_t>(kFileBytes) || seals < 0 ||
      (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW)) {
    return FailedPrecondition("journal: not a sealed file of the right size");
  }
  std::unique_ptr<Journal> journal(new Journal(std::move(fd)));
  RETURN_IF_ERROR(journal->Map());
  RETURN_IF_ERROR(journal->Validate(session));
  journal->RecoverOut();
  journal->RecoverIn();
  return journal;
}

Journal::~Journal() {
  if (base_ != nullptr) munmap(base_, kRingsAt);
  if (out_ != nullptr) munmap(out_, 2 * kRingBytes);
  if (in_ != nullptr) munmap(in_, 2 * kRingBytes);
}

Status Journal::Map() {
  void* base = mmap(nullptr, kRingsAt, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (base == MAP_FAILED) return ErrnoStatus(errno, "journal: map");
  base_ = static_cast<char*>(base);
  out_ = MapRing(fd_.get(), kRingsAt);
  in_ = MapRing(fd_.get(), kRingsAt + kRingBytes);
  if (out_ == nullptr || in_ == nullptr) return ErrnoStatus(errno, "journal: map");
  header_ = reinterpret_cast<JournalHeader*>(base_);
  return OkStatus();
}

Status Journal::Validate(uint64_t session) const {
  const JournalHeader& h = *header_;
  if (h.magic != kMagic || h.version != kJournalVersion) return FailedPrecondition("journal: another format");
  if (h.session != session) return FailedPrecondition("journal: of another session");
  uint64_t head = OutHead(), tail = h.out_tail, zero = h.out_zero;
  // head ahead of tail: died while starting again at the first page (RewindOut).
  bool rewinding = head > tail && head % kRingBytes == 0 && head - tail < kRingBytes;
  bool out_good = head <= kMaxPosition && tail <= kMaxPosition && zero <= head && (head <= tail || rewinding) &&
                  std::max(head, tail) - zero <= kRingBytes;
  if (!out_good) return FailedPrecondition("journal: positions of the child's output are impossible");
  if (head < tail && memchr(Out(head), 0, tail - head) != nullptr) {
    return FailedPrecondition("journal: the child's output has gaps");
  }
  uint64_t in_head = h.in_head, in_tail = h.in_tail, in_line = h.in_line;
  bool in_rewinding = in_head > in_tail && in_head % kRingBytes == 0 && in_head - in_tail < kRingBytes;
  bool in_good = in_head <= kMaxPosition && in_tail <= kMaxPosition && (in_head <= in_tail || in_rewinding) &&
                 (h.in_busy <= kMaxPosition || h.in_busy == kBusyWithNewline) && h.in_newline <= 1;
  if (in_good && in_head < in_tail) {
    in_good = in_tail - in_head <= kRingBytes && *In(in_tail - 1) == '\n' && in_line <= in_head &&
              in_tail - in_line <= kRingBytes;
  }
  if (in_good && h.in_doubt != 0) {
    uint64_t begin = h.in_doubt - 1, end = h.in_doubt_end;
    in_good = begin < end && end <= std::max(in_head, in_tail) && std::max(in_head, in_tail) - begin <= kRingBytes &&
              *In(end - 1) == '\n';
  }
  if (!in_good) return FailedPrecondition("journal: positions of the child's input are impossible");
  if (h.note_active > 1 || h.note_size[h.note_active] > kNoteBytes) {
    return FailedPrecondition("journal: the note is too long");
  }
  return OkStatus();
}

uint64_t Journal::OutHead() const { return header_->out_head.load() & ~kSkipBit; }
bool Journal::Skipping() const { return (header_->out_head.load() & kSkipBit) != 0; }
void Journal::SetOutHead(uint64_t head, bool skipping) { header_->out_head = head | (skipping ? kSkipBit : 0); }

void Journal::RecoverOut() {
  uint64_t head = OutHead();
  if (head > header_->out_tail) {
    // Everything behind was cleared before RewindOut began.
    header_->out_tail = head;
    header_->out_zero = head;
  }
  ZeroOut(header_->out_zero, head);
  uint64_t tail = header_->out_tail;
  size_t room = kRingBytes - (tail - head);
  // A page at a time: looking further would touch what nobody wrote.
  size_t found = 0;
  while (found < room) {
    size_t piece = std::min(room - found, kPage - (tail + found) % kPage);
    const void* nul = memchr(Out(tail + found), 0, piece);
    if (nul != nullptr) {
      found += static_cast<size_t>(static_cast<const char*>(nul) - Out(tail + found));
      break;
    }
    found += piece;
  }
  header_->out_tail = tail + found;
  touched_ = scanned_ = head;
}

void Journal::RecoverIn() {
  uint64_t head = header_->in_head;
  if (head > header_->in_tail) header_->in_tail = head;
  in_low_ = head;
  // Died between counting the end of a line and moving on to the next.
  if (head > 0 && header_->in_line < head && head < header_->in_tail && *In(head - 1) == '\n') header_->in_line = head;
  uint64_t busy = header_->in_busy;
  if (busy == kBusyWithNewline) header_->in_newline = 1;
  // Another position: that write was counted before the end came.
  if (busy == head + 1 && head < header_->in_tail) GiveUpLine(head);
  header_->in_busy = 0;
}

void Journal::GiveUpLine(uint64_t head) {
  const char* newline = static_cast<const char*>(memchr(In(head), '\n', header_->in_tail - head));
  uint64_t end = head + static_cast<uint64_t>(newline - In(head)) + 1;
  // In this order: a death between two of them is recovered like the one before, or is over.
  header_->in_doubt_end = end;
  header_->in_doubt = header_->in_line + 1;
  header_->in_newline = 1;
  header_->in_head = end;
  header_->in_line = end;
}

std::string Journal::DoubtfulLine() const {
  if (header_->in_doubt == 0) return "";
  uint64_t begin = header_->in_doubt - 1;
  return std::string(In(begin), header_->in_doubt_end - 1 - begin);
}

uint64_t Journal::InKept() const {
  uint64_t kept = std::min<uint64_t>(header_->in_head, header_->in_line);
  return header_->in_doubt == 0 ? kept : std::min(kept, header_->in_doubt - 1);
}

void Journal::ZeroOut(uint64_t from, uint64_t to) {
  if (from < to) Zero(Out(from), to - from);
  header_->out_zero = to;
}

// Back to the first page, so that an idle session owns one. Only when the ring is empty. The order of the stores is
// what Validate and RecoverOut rely on.
void Journal::RewindOut() {
  uint64_t at = header_->out_tail;
  uint64_t zero = header_->out_zero;
  // Also the pages that were made present for a read that brought less.
  Zero(Out(zero), std::min<uint64_t>(std::max(at, touched_) - zero, kRingBytes));
  header_->out_zero = at;
  uint64_t start = NextRing(at);
  bool skipping = Skipping();
  SetOutHead(start, skipping);
  header_->out_tail = start;
  header_->out_zero = start;
  scanned_ = touched_ = start;
}

Journal::Room Journal::OutRoom() {
  uint64_t tail = header_->out_tail;
  size_t room = kRingBytes - (tail - header_->out_zero);
  size_t size = std::min(window_, room);
  // The pages are made present first: a fault in the middle of read(2) could leave bytes here that are still in the
  // pipe.
  touched_ = std::max(touched_, tail);
  if (touched_ < tail + size) touched_ = MakePresent(Out(touched_), touched_, tail + size);
  return {Out(tail), size};
}

void Journal::OutDidRead(size_t bytes) {
  uint64_t tail = header_->out_tail;
  char* at = Out(tail);
  // No JSON text has a NUL, raw or quoted. As 0x01 the line stays the garbage it is, and the ring keeps its rule.
  for (char* nul; (nul = static_cast<char*>(memchr(at, 0, bytes - static_cast<size_t>(at - Out(tail))))) != nullptr;) {
    *nul = 1;
    at = nul;
  }
  header_->out_tail = tail + bytes;
  if (bytes == window_ && window_ < kMaxWindow) window_ *= 2;
  if (bytes < window_ / 4) window_ = std::max(kPage, window_ / 2);
}

bool Journal::OutLine(std::string_view* line) {
  for (;;) {
    uint64_t head = OutHead(), tail = header_->out_tail;
    scanned_ = std::max(scanned_, head);
    const void* found = scanned_ < tail ? memchr(Out(scanned_), '\n', tail - scanned_) : nullptr;
    if (found == nullptr) {
      scanned_ = tail;
      if (tail - head > limits::kChildLineBytes || (Skipping() && tail > head)) {
        if (!Skipping()) ++out_dropped_;
        SetOutHead(head, true);  // first, or a crash between would deliver the rest as a line
        SetOutHead(tail, true);
        head = tail;
      }
      if (head == tail && head != header_->out_zero) RewindOut();
      return false;
    }
    line_end_ = scanned_ + static_cast<uint64_t>(static_cast<const char*>(found) - Out(scanned_)) + 1;
    if (Skipping() || line_end_ - 1 - head > limits::kChildLineBytes) {
      if (!Skipping()) ++out_dropped_;
      scanned_ = line_end_;
      SetOutHead(line_end_, false);
      continue;
    }
    *line = std::string_view(Out(head), line_end_ - 1 - head);
    return true;
  }
}

void Journal::OutConsume() {
  SetOutHead(line_end_, false);
  scanned_ = line_end_;
  if (line_end_ == header_->out_tail) {
    RewindOut();
  } else if (line_end_ - header_->out_zero >= 8 * kFreeAbove) {
    ZeroOut(header_->out_zero, line_end_);
  }
}

bool Journal::OutSpill(size_t bytes, std::string* line) {
  const uint64_t head = OutHead(), tail = header_->out_tail;
  if (Skipping() || tail - head <= bytes || scanned_ != tail) return false;
  SetOutHead(head, true);  // the rest is no line for the next mcplet
  line->append(Out(head), tail - head);
  SetOutHead(tail, true);
  RewindOut();
  return true;
}

void Journal::OutPutBack(std::string_view rest) {
  SetOutHead(OutHead(), false);
  while (!rest.empty()) {
    const Room room = OutRoom();
    const size_t size = std::min(room.size, rest.size());
    memcpy(room.at, rest.data(), size);
    OutDidRead(size);
    rest.remove_prefix(size);
  }
}

size_t Journal::InPending() const { return header_->in_tail - header_->in_head + header_->in_newline; }

Status Journal::InAppend(std::string_view line) {
  uint64_t head = header_->in_head, tail = header_->in_tail;
  if (line.size() > limits::kChildLineBytes) return InvalidArgument("line: longer than a child may be sent");
  if (head == tail && tail != in_low_ && header_->in_doubt == 0) {
    // Empty: back to the first page.
    if (tail - in_low_ >= kFreeAbove) Zero(In(in_low_), std::min<uint64_t>(tail - in_low_, kRingBytes));
    uint64_t start = NextRing(tail);
    header_->in_head = start;
    header_->in_tail = start;
    in_low_ = start;
    head = tail = start;
  }
  if (head == tail) header_->in_line = head;
  if (tail - InKept() + line.size() + 1 > kRingBytes) {
    return ResourceExhausted("child: its input queue is full");
  }
  memcpy(In(tail), line.data(), line.size());
  *In(tail + line.size()) = '\n';
  header_->in_tail = tail + line.size() + 1;
  return OkStatus();
}

std::string_view Journal::InPiece() {
  if (header_->in_newline != 0) return "\n";
  if (header_->in_doubt != 0) return {};
  uint64_t head = header_->in_head, tail = header_->in_tail;
  if (head == tail) return {};
  const char* at = In(head);
  const char* newline = static_cast<const char*>(memchr(at, '\n', tail - head));
  return {at, static_cast<size_t>(newline - at) + 1};
}

void Journal::InBegin() { header_->in_busy = header_->in_newline != 0 ? kBusyWithNewline : header_->in_head + 1; }

void Journal::InEnd(size_t written) {
  if (written > 0) {
    if (header_->in_newline != 0) {
      header_->in_newline = 0;
    } else {
      uint64_t head = header_->in_head + written;
      bool line_done = *In(head - 1) == '\n';
      header_->in_head = head;
      if (line_done) header_->in_line = head;
    }
  }
  header_->in_busy = 0;
}

void Journal::InDiscard() {
  header_->in_newline = 0;
  header_->in_line = header_->in_tail.load();
  header_->in_head = header_->in_tail.load();
}

Status Journal::SaveNote(std::string_view note) {
  if (note.size() > kNoteBytes) return ResourceExhausted("note: more than 48 KiB");
  uint64_t slot = 1 - header_->note_active;
  memcpy(base_ + kHeaderBytes + slot * kNoteBytes, note.data(), note.size());
  header_->note_size[slot] = note.size();
  header_->note_active = slot;
  return OkStatus();
}

std::string Journal::LoadNote() const {
  uint64_t slot = header_->note_active;
  return std::string(base_ + kHeaderBytes + slot * kNoteBytes, header_->note_size[slot]);
}

}  // namespace mcpfleet::shim
