// A LogTail over rotated files (log_rotate.h). Its place is the inode of a file, the offset in it, a hash of the file's
// beginning (inodes are used again) and the number of the next line.
//
// The file under way stays open: what was in it can be read after its rotation, and after the instance is gone. When
// lines went away unread the writer's count tells how many.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/log/log_files.h"

namespace mcpfleet {

class FileTail final : public LogTail {
 public:
  FileTail(std::string directory, const TailFrom& from);
  StatusOr<LogPiece> Read(std::string* out, size_t max, Deadline deadline) override;
  std::string Place() const override;

 private:
  struct Wanted {
    uint64_t inode = 0, hash = 0;
    int64_t offset = 0, line = 0;
  };
  // Opens the file to read first. False when there is none yet, or what is there can't be told apart yet.
  bool Begin(LogPiece* piece);
  // Begins near the end of the newest file.
  bool BeginSince(WallTime since);
  // Goes on to the file after the present one, if there is one.
  bool GoOn(LogPiece* piece);
  // Begins with the oldest file of this incarnation, after a gap.
  bool BeginAfterGap(std::vector<LogFile> files, LogPiece* piece);
  void Take(LogFile file, bool previous, int64_t offset);
  bool IsNewest() const;
  // Lines up to `max` bytes from the present place; what was appended.
  size_t ReadLines(std::string* out, size_t max, LogPiece* piece);

  const std::string directory_;
  bool have_place_ = false, from_birth_ = false;
  std::optional<WallTime> since_;  // until it has begun, or is known to begin with the first line
  Wanted wanted_;                  // until its file was found
  LogFile file_;
  std::unique_ptr<char[]> room_;  // what is read, before it is known where its last line ends
  size_t room_bytes_ = 0;
  bool previous_ = false;  // of the incarnation before
  int64_t offset_ = 0;
  int64_t line_ = 0;         // number of the next line of the incarnation
  bool line_known_ = false;  // whether line_ counts from the incarnation's first line
  int unsure_ = 0;           // looks in a row at which the writer's count was not there
};

}  // namespace mcpfleet
