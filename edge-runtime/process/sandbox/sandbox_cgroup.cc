#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {

bool JoinCgroups(const Config& config, pid_t pid) {
  char text[16];
  const int length = snprintf(text, sizeof text, "%d", pid);
  for (int i = 0; i < config.cgroup_count; ++i) {
    char path[1024];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", config.cgroups[i]) >= static_cast<int>(sizeof path)) {
      return Fail("cgroup path too long");
    }
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool ok = fd >= 0 && write(fd, text, static_cast<size_t>(length)) == length;
    if (!ok) FailErrno("join %s", config.cgroups[i]);
    if (fd >= 0) close(fd);
    if (!ok) return false;
  }
  return true;
}

int64_t OomKills(const Config& config) {
  if (config.oom_file == nullptr) return 0;
  const int fd = open(config.oom_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char* line = strstr(text, "oom_kill ");
  return line == nullptr ? 0 : strtoll(line + strlen("oom_kill "), nullptr, 10);
}

}  // namespace mcpfleet::sandbox
