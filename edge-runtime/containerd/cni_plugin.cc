#include "edge-runtime/containerd/cni_plugin.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/argv.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::containerd {
namespace {

constexpr size_t kAnswerBytes = size_t{1} << 20;

struct Pipe {
  UniqueFd read, write;
};

StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

StatusOr<std::string> ReadToEnd(int fd, Deadline deadline) {
  std::string text;
  char buffer[4096];
  for (;;) {
    RETURN_IF_ERROR(PollFd(fd, POLLIN, deadline));
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n == 0) return text;
    if (n < 0 && errno != EINTR) return ErrnoStatus(errno, "read");
    if (n > 0) text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kAnswerBytes) return ResourceExhausted("answers more than 1 MiB");
  }
}

StatusOr<pid_t> Spawn(const std::string& program, const CniCall& call, int in, int out) {
  const std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",  // they call iptables
      "CNI_COMMAND=" + call.command,
      "CNI_CONTAINERID=" + call.container,
      "CNI_NETNS=" + call.network_namespace,
      "CNI_IFNAME=" + call.interface,
      "CNI_PATH=" + Join(call.plugin_directories, ":")};
  const std::vector<std::string> arguments = {program};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), &actions, nullptr, ArgvOf(arguments).data(), ArgvOf(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, program);
  return pid;
}

}  // namespace

std::string FindPlugin(const std::vector<std::string>& directories, const std::string& type) {
  if (type.empty() || type.find('/') != std::string::npos) return "";
  for (const std::string& directory : directories) {
    std::string path = directory + "/" + type;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

StatusOr<std::string> RunPlugin(const std::string& program, const CniCall& call, const std::string& configuration,
                                Deadline deadline) {
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(program, call, in.read.get(), out.write.get()));
  in.read.Reset();
  out.write.Reset();
  // One that ends without reading all: its answer tells more than the broken pipe (SIGPIPE is ignored by mcplet).
  WriteAll(in.write.get(), configuration, deadline).IgnoreError();
  in.write.Reset();
  StatusOr<std::string> answer = ReadToEnd(out.read.get(), deadline);
  if (!answer.ok()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string what = "CNI plugin " + program + " " + call.command;
  if (!answer.ok()) return Annotate(answer.status(), what);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return answer;
  const StatusOr<Json> error = ParseJson(*answer);
  const std::string message = error.ok() ? GetString(*error, "msg") + " " + GetString(*error, "details") : *answer;
  return Unavailable(what + " failed: " + Printable(Trim(message), 500));
}

}  // namespace mcpfleet::containerd
