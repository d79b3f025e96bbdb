#include "tests/fakes/engine_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {

using std::chrono::seconds;

Status EngineProcess::Start(const std::string& name, const std::vector<std::string>& args,
                            const std::vector<std::string>& environment, const std::string& log,
                            const std::function<bool()>& answers) {
  name_ = name;
  const std::vector<char*> argv = ArgvOf(args), env = ArgvOf(environment);
  UniqueFd output(open(log.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600));
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) return ErrnoStatus(errno, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    dup2(output.get(), 1);
    dup2(output.get(), 2);
    setsid();
    execve(argv[0], argv.data(), environment.empty() ? environ : env.data());
    _exit(127);
  }
  const Deadline deadline = Deadline::After(seconds(40));
  while (!deadline.Expired()) {
    if (answers()) return OkStatus();
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    poll(nullptr, 0, 50);
  }
  const std::string text = ReadFile(log, size_t{4} << 20).value_or("");
  return Unavailable(name +
                     " did not come up: " + Printable(text.size() > 600 ? text.substr(text.size() - 600) : text, 600));
}

bool EngineProcess::WaitForExit(Duration limit) const {
  const Deadline deadline = Deadline::After(limit);
  while (!deadline.Expired()) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) return true;
    poll(nullptr, 0, 20);
  }
  return false;
}

Status EngineProcess::End(int signal) {
  kill(pid_, signal);
  if (!WaitForExit(seconds(40))) return DeadlineExceeded(name_ + " does not end");
  pid_ = -1;
  return OkStatus();
}

void EngineProcess::Stop() {
  if (!runs()) return;
  kill(pid_, SIGTERM);
  if (!WaitForExit(seconds(20))) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

}  // namespace mcpfleet
