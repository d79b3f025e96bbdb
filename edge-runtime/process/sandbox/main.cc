// mcp-sandbox <instance directory>: makes the sandbox that sandbox.conf in it describes, starts its first process and
// stays as its monitor. Answers on descriptor 3 (sandbox_format.h). The program that is started forks once and exits,
// so that the monitor is nobody's child and outlives mcplet.
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/monitor.h"

using mcpfleet::sandbox::Config;
using mcpfleet::sandbox::Failure;
using mcpfleet::sandbox::kStatusFd;

namespace {

int Refuse(const char* text) {
  if (write(kStatusFd, "E", 1) != 1 || write(kStatusFd, text, strlen(text)) < 0) return 2;
  return 1;
}

// Held until we die: how mcplet knows that the monitor lives, and why there is never a second one.
bool Lock() {
  const int fd = open(mcpfleet::sandbox::kLockFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct flock whole;
  memset(&whole, 0, sizeof whole);
  whole.l_type = F_WRLCK;
  return fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0;
}

// The owner is our parent, so the pidfd can be of nobody else; when it is not any more, it has died.
bool FollowOwner(Config* of) {
  if (of->owner == 0) return true;
  of->owner_fd = static_cast<int>(syscall(SYS_pidfd_open, of->owner, 0));
  return of->owner_fd >= 0 && getppid() == of->owner;
}

Config config;  // large: not on the stack

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || fcntl(kStatusFd, F_SETFD, FD_CLOEXEC) != 0) {
    const char usage[] = "usage: mcp-sandbox <instance directory>, with a pipe on descriptor 3\n";
    [[maybe_unused]] ssize_t said = write(2, usage, sizeof usage - 1);
    return 2;
  }
  syscall(SYS_close_range, 4u, ~0u, 0u);
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3 && null >= 0; ++fd) dup2(null, fd);
  if (null > 3) close(null);
  if (chdir(argv[1]) != 0) return Refuse("instance directory: cannot be entered");
  const int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || !mcpfleet::sandbox::LoadConfig(mcpfleet::sandbox::kConfigFile, &config)) {
    return Refuse(directory < 0 ? "instance directory: cannot be opened" : Failure());
  }
  if (!FollowOwner(&config)) return Refuse("its owner is gone");
  setsid();
  const pid_t pid = fork();
  if (pid < 0) return Refuse("fork failed");
  if (pid > 0) return 0;
  if (!Lock()) return Refuse("lock: another monitor runs");
  return mcpfleet::sandbox::RunMonitor(config, directory, kStatusFd);
}
