#include "edge-runtime/log/log_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace mcpfleet {
namespace {

constexpr size_t kTimeBytes = sizeof "2026-11-22T15:04:05.123Z " - 1;

void FormatNow(char* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char text[80];
  snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
           utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(now.tv_nsec / 1000000));
  memcpy(out, text, kTimeBytes);
}

}  // namespace

void LogRotate::Open(int directory, int64_t max_bytes, int max_files) {
  directory_ = directory;
  max_bytes_ = max_bytes;
  max_files_ = max_files;
  OpenFile();
  const int64_t before = LinesBefore();
  lines_ = before;
  NoteLines();
  lines_ += CountLines();
}

int64_t LogRotate::LinesBefore() const {
  char text[64] = {};
  const int fd = openat(directory_, kLogLinesFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return 0;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  unsigned long long inode = 0;
  long long lines = 0;
  struct stat st;
  const bool known = n > 0 && sscanf(text, "%llu %lld", &inode, &lines) == 2 && lines >= 0 && size_ > 0 &&
                     fstat(fd_, &st) == 0 && static_cast<unsigned long long>(st.st_ino) == inode;
  return known ? lines : 0;
}

int64_t LogRotate::CountLines() const {
  if (size_ == 0) return 0;
  const int fd = openat(directory_, kLogFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int64_t lines = 0;
  char buffer[4096];
  for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0;) {
    for (const char* at = buffer;
         (at = static_cast<const char*>(memchr(at, '\n', static_cast<size_t>(buffer + n - at)))) != nullptr; ++at)
      ++lines;
  }
  if (fd >= 0) close(fd);
  return lines;
}

void LogRotate::NoteLines() const {
  struct stat st;
  if (fd_ < 0 || fstat(fd_, &st) != 0) return;
  const int fd = openat(directory_, kLogLinesFile, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return;
  char text[64];
  const int n = snprintf(text, sizeof text, "%020llu %020lld\n", static_cast<unsigned long long>(st.st_ino),
                         static_cast<long long>(lines_));
  // Always as long, and in one write: nobody reads a half.
  (void)!pwrite(fd, text, static_cast<size_t>(n), 0);
  close(fd);
}

bool LogRotate::OpenFile() {
  fd_ = openat(directory_, kLogFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
  struct stat st;
  size_ = fd_ >= 0 && fstat(fd_, &st) == 0 ? st.st_size : 0;
  return fd_ >= 0;
}

void LogRotate::Rotate() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  char from[32], to[32];
  for (int i = max_files_ - 1; i >= 1; --i) {
    snprintf(to, sizeof to, "%s.%d", kLogFile, i);
    if (i == 1) {
      snprintf(from, sizeof from, "%s", kLogFile);
    } else {
      snprintf(from, sizeof from, "%s.%d", kLogFile, i - 1);
    }
    renameat(directory_, from, directory_, to);
  }
  if (max_files_ == 1) unlinkat(directory_, kLogFile, 0);
  OpenFile();
  NoteLines();
}

void LogRotate::Add(const char* bytes, size_t size) {
  while (size > 0) {
    const char* newline = static_cast<const char*>(memchr(bytes, '\n', size));
    size_t part = newline == nullptr ? size : static_cast<size_t>(newline - bytes);
    const size_t room = kLineBytes - partial_size_;
    if (part > room) {
      part = room;
      newline = nullptr;
    }
    memcpy(partial_ + partial_size_, bytes, part);
    partial_size_ += part;
    if (newline != nullptr || partial_size_ == kLineBytes) {
      Line(partial_, partial_size_);
      partial_size_ = 0;
    }
    const size_t used = part + (newline != nullptr ? 1 : 0);
    bytes += used;
    size -= used;
  }
}

void LogRotate::Line(const char* bytes, size_t size) {
  if (out_size_ + kTimeBytes + size + 1 > sizeof out_) WriteOut();
  const int64_t total = size_ + static_cast<int64_t>(out_size_ + kTimeBytes + size + 1);
  if (total > max_bytes_ && size_ + static_cast<int64_t>(out_size_) > 0) {
    WriteOut();
    Rotate();
  }
  FormatNow(out_ + out_size_);
  memcpy(out_ + out_size_ + kTimeBytes, bytes, size);
  out_size_ += kTimeBytes + size;
  out_[out_size_++] = '\n';
  ++out_lines_;
}

void LogRotate::WriteOut() {
  if (out_size_ == 0) return;
  if (fd_ < 0) OpenFile();
  if (lost_ > 0 && fd_ >= 0) {
    char note[96];
    FormatNow(note);
    const int n = snprintf(note + kTimeBytes, sizeof note - kTimeBytes, "mcpfleet: %lld lines lost\n",
                           static_cast<long long>(lost_));
    const size_t length = kTimeBytes + static_cast<size_t>(n);
    if (write(fd_, note, length) == static_cast<ssize_t>(length)) {
      size_ += static_cast<int64_t>(length);
      ++lines_;
      lost_ = 0;
    }
  }
  const ssize_t written = fd_ < 0 ? -1 : write(fd_, out_, out_size_);
  if (written == static_cast<ssize_t>(out_size_)) {
    size_ += written;
    lines_ += out_lines_;
  } else {
    // A part of a line may be there: it is cut off again, so that every line in the file is whole.
    if (written > 0 && ftruncate(fd_, size_) != 0) size_ += written;
    lost_ += out_lines_;
  }
  out_size_ = 0;
  out_lines_ = 0;
}

void LogRotate::Flush(bool final) {
  if (final && partial_size_ > 0) {
    Line(partial_, partial_size_);
    partial_size_ = 0;
  }
  WriteOut();
}

void LogRotate::Close() {
  Flush(true);
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace mcpfleet
