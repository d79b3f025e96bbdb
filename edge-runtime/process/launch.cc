#include "edge-runtime/process/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

StatusOr<std::string> ReadAnswer(int fd, Deadline deadline) {
  std::string answer;
  char buffer[1024];
  while (answer.size() < 4096) {
    RETURN_IF_ERROR(PollFd(fd, POLLIN, deadline));
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "mcp-sandbox: status");
    if (n == 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  return answer;
}

StatusOr<pid_t> Spawn(const std::string& binary, const std::string& directory, int status) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, status, sandbox::kStatusFd);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  char* argv[] = {const_cast<char*>(binary.c_str()), const_cast<char*>(directory.c_str()), nullptr};
  char* env[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, binary.c_str(), &actions, &attributes, argv, env);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailedPrecondition(Message(ErrnoStatus(error, binary)));
  return pid;
}

}  // namespace

Status LaunchSandbox(const std::string& sandbox_binary, const std::string& directory, Deadline deadline) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  StatusOr<pid_t> pid = Spawn(sandbox_binary, directory, write_end.get());
  if (!pid.ok()) return pid.status();
  write_end.Reset();
  // It forks and exits at once; the monitor is no child of ours.
  while (waitpid(*pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  ASSIGN_OR_RETURN(const std::string answer, ReadAnswer(read_end.get(), deadline));
  if (answer == "R" || answer.find("another monitor runs") != std::string::npos) return OkStatus();
  if (answer.empty()) return Internal("mcp-sandbox died before it had made the sandbox");
  return FailedPrecondition("sandbox: " + answer.substr(1));
}

}  // namespace mcpfleet
