#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace mcpfleet {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  std::string content;
  char buffer[65536];
  for (;;) {
    ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, path);
    if (n == 0) return content;
    if (content.size() + static_cast<size_t>(n) > limit) {
      return ResourceExhausted(path + ": larger than " + std::to_string(limit) + " bytes");
    }
    content.append(buffer, static_cast<size_t>(n));
  }
}

namespace {
std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, path);
  return OkStatus();
}

std::atomic<unsigned> temporary_counter{0};

Status Replace(const std::string& path, std::string_view content, int mode, bool flush) {
  std::string temporary = path + ".tmp." + std::to_string(getpid()) + "." + std::to_string(temporary_counter++);
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, temporary);
  Status written = WriteAll(fd.get(), content, Deadline::Never());
  if (written.ok() && fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) written = ErrnoStatus(errno, temporary);
  if (written.ok() && flush && fsync(fd.get()) != 0) written = ErrnoStatus(errno, temporary);
  if (written.ok() && rename(temporary.c_str(), path.c_str()) != 0) written = ErrnoStatus(errno, path);
  if (!written.ok()) {
    unlink(temporary.c_str());
    return Annotate(written, "writing " + path);
  }
  return flush ? SyncDirectory(DirectoryOf(path)) : OkStatus();
}
}  // namespace

Status WriteFileAtomically(const std::string& path, std::string_view content, int mode) {
  return Replace(path, content, mode, true);
}

Status ReplaceFile(const std::string& path, std::string_view content, int mode) {
  return Replace(path, content, mode, false);
}

Status MakeDirectories(const std::string& path, int mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) return ErrnoStatus(errno, part);
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition(path + ": exists and is not a directory");
  return OkStatus();
}

namespace {
Status RemoveTreeAt(int parent, const std::string& name, const std::string& path) {
  if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, path);
  UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? OkStatus() : ErrnoStatus(errno, path);
  DIR* directory = fdopendir(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (directory == nullptr) return ErrnoStatus(errno, path);
  Status result;
  while (dirent* entry = readdir(directory)) {
    std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (Status s = RemoveTreeAt(fd.get(), child, path + "/" + child); !s.ok()) result = s;
  }
  closedir(directory);
  if (!result.ok()) return result;
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
  return OkStatus();
}
}  // namespace

Status RemoveTree(const std::string& path) { return RemoveTreeAt(AT_FDCWD, path, path); }

Status PollFd(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd p{fd, events, 0};
    int n = poll(&p, 1, deadline.PollMillis());
    if (n > 0) return OkStatus();
    if (n == 0) return DeadlineExceeded("timed out");
    if (errno != EINTR) return ErrnoStatus(errno, "poll");
  }
}

Status WriteAll(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return ErrnoStatus(errno, "write");
    RETURN_IF_ERROR(PollFd(fd, POLLOUT, deadline));
  }
  return OkStatus();
}

}  // namespace mcpfleet
