// The journal of one stdio session: a memfd that mcplet maps and the shim keeps, so that a kill -9 of mcplet at any
// instruction tears and loses no line in either direction. (A power cut ends the children too; nothing is on disk.)
//
// Out (child -> mcplet) is a ring into which read(2) goes directly. Bytes outside [head, tail) are zero and JSON text
// has no NUL, so bytes that were read but not yet counted when mcplet died are found by looking from `tail` on. A line
// is delivered, then `head` moves: after a crash the last line may come again, never a piece of one. In (mcplet ->
// child) is a ring of whole lines. `busy` names the place of the write(2) under way; if that write was not counted at
// adoption, nobody knows how much of that line arrived, so the rest is given up with a newline and the line is reported
// as doubtful.
//
// The rings are sparse and mapped twice in a row, so that a line is always contiguous; only touched pages cost memory,
// and an empty ring starts again at its first page. Larger than any line, hence a line needs no other place.
//
// Not thread-safe as a whole: the out side belongs to the I/O thread, the in side and the note to the channel's lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/limits.h"
#include "base/status.h"

namespace mcpfleet::shim {

// What the pipe from a child holds, if the system allows: a long line takes fewer turns of both.
inline constexpr size_t kOutPipeBytes = size_t{512} << 10;

// The first page of the memfd. Shared between incarnations of mcplet: change the version with the layout.
struct JournalHeader {
  uint64_t magic = 0;
  uint64_t version = 0;
  uint64_t session = 0;
  // Positions only grow; modulo kRingBytes they are places. The top bit of out_head says that a line was too long and
  // is being thrown away up to its newline.
  std::atomic<uint64_t> out_head{0}, out_tail{0}, out_zero{0};
  std::atomic<uint64_t> in_line{0}, in_head{0}, in_tail{0}, in_busy{0}, in_newline{0};
  // The line that may have arrived in part, until somebody has seen to it; in_doubt is its begin + 1, 0 for none.
  std::atomic<uint64_t> in_doubt{0}, in_doubt_end{0};
  std::atomic<uint64_t> note_active{0};
  std::atomic<uint64_t> note_size[2] = {{0}, {0}};
};

class Journal {
 public:
  static constexpr size_t kHeaderBytes = 4096;
  static constexpr size_t kNoteBytes = size_t{48} << 10;
  static constexpr size_t kRingsAt = size_t{128} << 10;
  static constexpr size_t kRingBytes = 2 * limits::kChildLineBytes;
  static constexpr size_t kFileBytes = kRingsAt + 2 * kRingBytes;

  // A fresh one; its descriptor goes to the shim.
  static StatusOr<std::unique_ptr<Journal>> Create(uint64_t session);
  // The one that an earlier mcplet left. FailedPrecondition when it is not what we write: then the session must end.
  static StatusOr<std::unique_ptr<Journal>> Adopt(UniqueFd fd, uint64_t session);
  ~Journal();
  int fd() const { return fd_.get(); }
  void CloseFd() { fd_.Reset(); }  // the mapping stays

  // Where to read(2) to, and then how much came. Never more than fits; empty only while a line of the maximal length
  // waits, which Line() resolves.
  struct Room {
    char* at = nullptr;
    size_t size = 0;
  };
  Room OutRoom();
  void OutDidRead(size_t bytes);
  // The next complete line without its newline; valid until OutConsume, which must follow. False: none.
  bool OutLine(std::string_view* line);
  void OutConsume();
  // When OutLine has none, and what is there of the next one is longer than `bytes`: moves it to the end of `*line`,
  // for a reader that goes on by itself and puts back what comes behind the newline. Who dies on the way loses the
  // line.
  bool OutSpill(size_t bytes, std::string* line);
  void OutPutBack(std::string_view rest);
  // The line was longer than a child may write: what is still to come of it goes the journal's way, and nowhere.
  void OutGiveUp() { ++out_dropped_; }
  // Lines thrown away for their length, and NULs replaced, since Create or Adopt.
  uint64_t out_dropped() const { return out_dropped_; }

  // Bytes waiting for the child.
  size_t InPending() const;
  // Takes a line (without newline) that is then safe from a crash. ResourceExhausted when it does not fit.
  Status InAppend(std::string_view line);
  // The piece to write next, at most to the end of its line; empty: none, or none while a line is in doubt. Surround
  // the write with the two calls.
  std::string_view InPiece();
  void InBegin();
  void InEnd(size_t written);
  void InDiscard();
  // The line of which a part may have arrived, "" if none. It stays, over adoptions too, until it is settled: who asks
  // must first see to what waits for it. Nothing is written before, so that there is never more than one.
  std::string DoubtfulLine() const;
  void SettleDoubt() { header_->in_doubt = 0; }

  Status SaveNote(std::string_view note);
  std::string LoadNote() const;

 private:
  Journal(UniqueFd fd) : fd_(std::move(fd)) {}
  Status Map();
  Status Validate(uint64_t session) const;
  void RecoverOut();
  void RecoverIn();
  void GiveUpLine(uint64_t head);
  // Bytes of the child's input from here on are not to be overwritten.
  uint64_t InKept() const;
  char* Out(uint64_t position) const { return out_ + position % kRingBytes; }
  char* In(uint64_t position) const { return in_ + position % kRingBytes; }
  uint64_t OutHead() const;
  bool Skipping() const;
  void SetOutHead(uint64_t head, bool skipping);
  void ZeroOut(uint64_t from, uint64_t to);
  void RewindOut();

  UniqueFd fd_;
  JournalHeader* header_ = nullptr;
  char* base_ = nullptr;  // header and notes
  char* out_ = nullptr;
  char* in_ = nullptr;
  size_t window_ = 4096;   // how much to read at once: grows with what comes
  uint64_t touched_ = 0;   // out pages are present up to here
  uint64_t scanned_ = 0;   // no newline in [head, scanned_)
  uint64_t line_end_ = 0;  // of the line handed out, behind its newline
  uint64_t out_dropped_ = 0;
  uint64_t in_low_ = 0;  // in pages touched since the last rewind begin here
};

}  // namespace mcpfleet::shim
