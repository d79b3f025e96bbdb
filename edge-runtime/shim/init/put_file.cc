#include "edge-runtime/shim/init/put_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mcpfleet::shim {
namespace {

constexpr char kSuffix[] = ".new";

int WriteNew(const char* path, const Bytes& content) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  if (fd < 0) return errno;
  int error = fchmod(fd, 0400) == 0 ? 0 : errno;
  for (size_t done = 0; error == 0 && done < content.size;) {
    ssize_t n = write(fd, content.at + done, content.size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n > 0) done += static_cast<size_t>(n);
  }
  close(fd);
  return error;
}

}  // namespace

int WritePutFile(const PutFile& file) {
  char path[PATH_MAX], fresh[PATH_MAX];
  if (file.path.size == 0 || file.path.at[0] != '/') return EINVAL;
  if (file.path.size + sizeof kSuffix > sizeof fresh) return ENAMETOOLONG;
  memcpy(path, file.path.at, file.path.size);
  path[file.path.size] = 0;
  memcpy(fresh, path, file.path.size);
  memcpy(fresh + file.path.size, kSuffix, sizeof kSuffix);
  // Of one that was killed in between; whatever it is, it is not followed.
  if (unlink(fresh) != 0 && errno != ENOENT) return errno;
  int error = WriteNew(fresh, file.content);
  if (error == 0 && rename(fresh, path) != 0) error = errno;
  if (error != 0) unlink(fresh);
  return error;
}

}  // namespace mcpfleet::shim
