// Owned file descriptors and the few file operations that must be exact: atomic replacement, bounded reads.
// Everything opens with O_CLOEXEC.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { Reset(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// At most `limit` bytes; a larger file is ResourceExhausted, never truncated.
StatusOr<std::string> ReadFile(const std::string& path, size_t limit);
// Temporary name in the same directory, fsync, rename, fsync of the directory: after a crash the old or the new
// content is there, never a mixture. `mode` is exact, whatever the umask.
Status WriteFileAtomically(const std::string& path, std::string_view content, int mode = 0600);
// The same for whoever reads, and no word to the disk: for what is written anew before it is used after a crash.
Status ReplaceFile(const std::string& path, std::string_view content, int mode = 0600);
// mkdir -p. Existing directories keep their mode.
Status MakeDirectories(const std::string& path, int mode = 0755);
// rm -rf below and including `path`; does not follow symbolic links; absent is OK.
Status RemoveTree(const std::string& path);
// Waits until `fd` is readable (POLLIN) or writable (POLLOUT): OK, or DeadlineExceeded.
Status PollFd(int fd, short events, Deadline deadline);
// All of `bytes`, waiting where the descriptor is not ready. Works on blocking and non-blocking descriptors.
Status WriteAll(int fd, std::string_view bytes, Deadline deadline);

}  // namespace mcpfleet
