// Running programs.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ostream>

#include "base/argv.h"
#include "base/fd.h"
#include "tests/integration/node.h"

namespace mcpfleet {
namespace {

constexpr size_t kMaxOutput = size_t{32} << 20;

int CodeOf(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

pid_t Fork(const std::vector<std::string>& argv, const std::vector<std::string>& env, int in, int out, int err,
           int death_signal) {
  const std::vector<char*> words = ArgvOf(argv), variables = ArgvOf(env);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, death_signal);
  if (getppid() != parent) _exit(1);
  setsid();
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  execve(words[0], words.data(), variables.data());
  _exit(127);
}

// What is readable now; false at the end of the stream.
bool Drink(int fd, std::string* text) {
  char bytes[65536];
  const ssize_t n = read(fd, bytes, sizeof bytes);
  if (n > 0 && text->size() < kMaxOutput) text->append(bytes, static_cast<size_t>(n));
  return n > 0;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const CommandResult& result) {
  return stream << "exit code " << result.code << "\nstdout: " << result.out << "\nstderr: " << result.err;
}

CommandResult RunCommand(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                         const std::string& input, Duration timeout) {
  int in[2], out[2], err[2];
  CommandResult result;
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return result;
  UniqueFd in_read(in[0]), in_write(in[1]), out_read(out[0]), out_write(out[1]), err_read(err[0]), err_write(err[1]);
  const Deadline deadline = Deadline::After(timeout);
  const pid_t pid = Fork(argv, env, in[0], out[1], err[1], SIGKILL);
  if (pid < 0) return result;
  in_read.Reset();
  out_write.Reset();
  err_write.Reset();
  if (!WriteAll(in_write.get(), input, deadline).ok() && !input.empty()) result.err += "(input was not read)\n";
  in_write.Reset();
  pollfd fds[2] = {{out_read.get(), POLLIN, 0}, {err_read.get(), POLLIN, 0}};
  while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !deadline.Expired()) {
    if (poll(fds, 2, deadline.PollMillis()) <= 0) continue;
    if (fds[0].revents != 0 && !Drink(fds[0].fd, &result.out)) fds[0].fd = -1;
    if (fds[1].revents != 0 && !Drink(fds[1].fd, &result.err)) fds[1].fd = -1;
  }
  const bool late = deadline.Expired();
  if (late) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (late) {
    result.err += "(killed: it took too long)\n";
  } else {
    result.code = CodeOf(status);
  }
  return result;
}

pid_t StartProgram(const std::vector<std::string>& argv, const std::string& log) {
  UniqueFd out(open(log.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600));
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  // With the machine's own settings (npm's registry, proxies), as a service would have them.
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) env.emplace_back(*entry);
  return Fork(argv, env, null.get(), out.get(), out.get(), SIGKILL);
}

int EndProgram(pid_t pid, int signal) {
  if (pid <= 0 || kill(pid, signal) != 0) return -1;
  int status = -1;
  const auto ended = [&] { return waitpid(pid, &status, WNOHANG) != 0; };
  if (!WaitFor(ended, std::chrono::seconds(30))) {
    ADD_FAILURE() << "process " << pid << " does not end on signal " << signal;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return status;
}

std::string ProgramPath(const std::string& name) {
  const char* directory = getenv("MCPFLEET_PROGRAMS");
  return std::string(directory != nullptr && *directory != '\0' ? directory : MCPFLEET_BINARY_DIR) + "/" + name;
}

HeldPort HoldPort() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return {std::move(fd), ntohs(address.sin_port)};
}

bool WaitFor(const std::function<bool()>& holds, Duration timeout) {
  for (const Deadline deadline = Deadline::After(timeout); !deadline.Expired(); poll(nullptr, 0, 25)) {
    if (holds()) return true;
  }
  return holds();
}

}  // namespace mcpfleet
