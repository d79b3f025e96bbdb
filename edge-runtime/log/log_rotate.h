// The log of an instance that has no engine to keep it: lines of its stderr, each with the time in front, in a file
// that is renamed to log.1, log.2 … when it is full. A line is never split between files; one that is longer than
// kLineBytes is cut into several. When the disk is full lines are dropped and counted, and the count is written once
// there is room: a server is never stopped by its own log.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace mcpfleet {

// The newest file in the instance's directory.
inline constexpr char kLogFile[] = "log";
// Beside it: "<inode of the newest file> <lines before its first one>\n", so that who comes too late can tell how many
// lines were rotated away. Of no use, and not trusted, while the inode is another.
inline constexpr char kLogLinesFile[] = "lines";

// Without exceptions, iostream or absl: mcp-sandbox is static and has one of these.
class LogRotate {
 public:
  static constexpr size_t kLineBytes = 8192;

  // `directory` is a descriptor that stays open; files go there.
  void Open(int directory, int64_t max_bytes, int max_files);
  // Takes what was read from the pipe.
  void Add(const char* bytes, size_t size);
  // Writes out what Add has buffered; an unfinished line stays unless `final`.
  void Flush(bool final);
  // Flush(true), and no more files.
  void Close();

 private:
  void Line(const char* bytes, size_t size);
  void WriteOut();
  void Rotate();
  bool OpenFile();
  // Lines that were written before the newest file, as an earlier writer left them.
  int64_t LinesBefore() const;
  int64_t CountLines() const;
  void NoteLines() const;

  int directory_ = -1, fd_ = -1;
  int64_t max_bytes_ = 0, size_ = 0, lost_ = 0;
  int max_files_ = 1;
  char partial_[kLineBytes];
  size_t partial_size_ = 0;
  char out_[2 * kLineBytes];
  size_t out_size_ = 0;
  int64_t out_lines_ = 0;
  int64_t lines_ = 0;  // in all files so far, those that are gone too
};

}  // namespace mcpfleet
