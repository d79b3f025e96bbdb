#include "base/brief_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/argv.h"
#include "base/fd.h"

namespace mcpfleet {
namespace {

constexpr size_t kOutputBytes = size_t{64} << 10;

// Until whoever has the other end is gone. What is beyond the bound is read and dropped, so that nobody waits for us.
Status Drain(int fd, std::string* output, Deadline deadline) {
  char bytes[4096];
  for (;;) {
    RETURN_IF_ERROR(PollFd(fd, POLLIN, deadline));
    const ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return OkStatus();
    output->append(bytes, std::min(static_cast<size_t>(n), kOutputBytes - output->size()));
  }
}

}  // namespace

StatusOr<BriefRun> RunBriefly(const std::vector<std::string>& argv, Deadline deadline,
                              const std::vector<std::string>& environment) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, argv[0]);
  UniqueFd out(ends[0]), in(ends[1]);
  const std::vector<char*> words = ArgvOf(argv), variables = ArgvOf(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  for (const int fd : {1, 2}) posix_spawn_file_actions_adddup2(&actions, in.get(), fd);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0].c_str(), &actions, nullptr, words.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, argv[0]);
  in.Reset();
  BriefRun run;
  Status ended = Drain(out.get(), &run.output, deadline);
  // It may have closed its output and go on.
  const UniqueFd end(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (ended.ok() && end.valid()) ended = PollFd(end.get(), POLLIN, deadline);
  if (!ended.ok() || !end.valid()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended.ok()) return Annotate(ended, argv[0]);
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

}  // namespace mcpfleet
