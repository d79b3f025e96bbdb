#include "edge-runtime/gitsync/git_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "base/argv.h"
#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet::gitsync {
namespace {

constexpr size_t kMostErrors = 8192;  // bytes kept of what it says
constexpr const char* kDirectories[] = {"/usr/local/bin", "/usr/bin", "/bin"};

// What is set for every run. Hooks and file-system monitors are programs; a submodule and a redirect are somebody
// else's place; a damaged or hostile object is refused where it comes in.
constexpr const char* kAlways[] = {
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "http.followRedirects=false",
    "protocol.version=2",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "core.askPass=/bin/false",
    "gpg.program=/bin/false",
    "gpg.x509.program=/bin/false",
    "gpg.ssh.program=/bin/false",
};

// Proxies are a matter of the machine, as for every other client here.
constexpr const char* kForwarded[] = {"https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"};

std::vector<std::string> Environment(const GitOptions& options) {
  std::vector<std::string> env = {
      "PATH=/usr/local/bin:/usr/bin:/bin",
      "LC_ALL=C",
      "HOME=" + options.directory + "/home",
      "GIT_DIR=" + options.directory + "/repository",
      "GIT_CONFIG_NOSYSTEM=1",
      "GIT_CONFIG_GLOBAL=/dev/null",
      "GIT_ATTR_NOSYSTEM=1",
      "GIT_TERMINAL_PROMPT=0",
      "GIT_ASKPASS=/bin/false",
      "SSH_ASKPASS=/bin/false",
      "GIT_PROTOCOL_FROM_USER=0",
      "GIT_ALLOW_PROTOCOL=" + options.protocols,
      "GIT_NO_REPLACE_OBJECTS=1",
      "GIT_OPTIONAL_LOCKS=0",
  };
  for (const char* name : kForwarded) {
    if (const char* value = getenv(name); value != nullptr) env.push_back(std::string(name) + "=" + value);
  }
  env.insert(env.end(), options.env.begin(), options.env.end());
  return env;
}

struct Pipe {
  UniqueFd read, write;
};
StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// In the child, between fork and exec: nothing but system calls.
[[noreturn]] void Become(int in, int out, int err, size_t max_file, pid_t parent, char* const* argv,
                         char* const* envp) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const rlimit files{.rlim_cur = max_file, .rlim_max = max_file}, core{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_FSIZE, &files);
  setrlimit(RLIMIT_CORE, &core);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir("/") != 0) _exit(127);
  execve(argv[0], argv, envp);
  _exit(127);
}

struct Streams {
  UniqueFd in, out, err;
};

// Feeds and reads until the program has closed both outputs.
Status Converse(Streams streams, std::string_view input, size_t max_output, GitResult* result, Deadline deadline) {
  fcntl(streams.in.get(), F_SETFL, O_NONBLOCK);
  while (streams.out.valid() || streams.err.valid()) {
    if (input.empty()) streams.in.Reset();
    pollfd fds[] = {{streams.out.get(), POLLIN, 0}, {streams.err.get(), POLLIN, 0}, {streams.in.get(), POLLOUT, 0}};
    const int ready = poll(fds, 3, deadline.PollMillis());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return DeadlineExceeded("git took too long");
    char buffer[65536];
    if (fds[0].revents != 0) {
      const ssize_t n = read(fds[0].fd, buffer, sizeof buffer);
      if (n > 0) result->out.append(buffer, static_cast<size_t>(n));
      if (n <= 0) streams.out.Reset();
      if (result->out.size() > max_output)
        return ResourceExhausted("git printed more than " + std::to_string(max_output) + " bytes");
    }
    if (fds[1].revents != 0) {
      const ssize_t n = read(fds[1].fd, buffer, sizeof buffer);
      if (n > 0) result->err.append(buffer, static_cast<size_t>(n));
      if (n <= 0) streams.err.Reset();
      if (result->err.size() > 2 * kMostErrors) result->err.erase(0, result->err.size() - kMostErrors);
    }
    if (fds[2].revents != 0) {
      const ssize_t n = write(fds[2].fd, input.data(), input.size());
      if (n > 0) {
        input.remove_prefix(static_cast<size_t>(n));
      } else if (n < 0 && errno != EAGAIN) {
        input = "";
      }
    }
  }
  return OkStatus();
}

// Its end, by itself or killed: nothing of its group is left behind.
StatusOr<int> Reap(pid_t pid, bool kill_it) {
  if (kill_it) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "waitpid");
  }
  kill(-pid, SIGKILL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

StatusOr<GitProgram> GitProgram::Create(GitOptions options) {
  for (const char* directory : kDirectories) {
    if (!options.program.empty()) break;
    const std::string candidate = std::string(directory) + "/git";
    if (access(candidate.c_str(), X_OK) == 0) options.program = candidate;
  }
  if (options.program.empty())
    return NotFound("git is not installed; looked in /usr/local/bin, /usr/bin and /bin (Debian: apt-get install git)");
  RETURN_IF_ERROR(MakeDirectories(options.directory, 0700));
  RETURN_IF_ERROR(MakeDirectories(options.directory + "/home", 0700));
  return GitProgram(std::move(options));
}

StatusOr<GitResult> GitProgram::Run(const std::vector<std::string>& args, Deadline deadline,
                                    const std::vector<std::string>& config, std::string_view input,
                                    size_t max_output) const {
  std::vector<std::string> words{options_.program, "--no-pager", "--literal-pathspecs"};
  for (const char* setting : kAlways) words.insert(words.end(), {"-c", setting});
  for (const std::string& setting : config) words.insert(words.end(), {"-c", setting});
  words.insert(words.end(), args.begin(), args.end());
  const std::vector<std::string> environment = Environment(options_);
  const std::vector<char*> argv = ArgvOf(words), envp = ArgvOf(environment);
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0)
    Become(in.read.get(), out.write.get(), err.write.get(), options_.max_file, parent, argv.data(), envp.data());
  setpgid(pid, pid);  // whoever of the two is first
  in.read.Reset();
  out.write.Reset();
  err.write.Reset();
  GitResult result;
  const Status talked =
      Converse({std::move(in.write), std::move(out.read), std::move(err.read)}, input, max_output, &result, deadline);
  ASSIGN_OR_RETURN(result.code, Reap(pid, !talked.ok()));
  const std::string what = args.empty() ? "git" : "git " + args.front();
  if (!talked.ok()) return Annotate(talked, what);
  if (result.code == 127 && result.err.empty()) return Internal(options_.program + " could not be started");
  return result;
}

StatusOr<std::string> GitProgram::Out(const std::vector<std::string>& args, Deadline deadline,
                                      const std::vector<std::string>& config, std::string_view input,
                                      size_t max_output) const {
  ASSIGN_OR_RETURN(GitResult result, Run(args, deadline, config, input, max_output));
  if (result.code == 0) return std::move(result.out);
  return FailedPrecondition("git " + args.front() + ": " + GitSaid(result));
}

std::string GitSaid(const GitResult& result) {
  std::vector<std::string> lines;
  for (const std::string& line : Split(result.err, '\n')) {
    std::string_view text = Trim(line);
    for (const std::string_view prefix : {"fatal: ", "error: "}) {
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    }
    if (!text.empty()) lines.push_back(Printable(text, 300));
  }
  if (lines.empty()) return "ended with code " + std::to_string(result.code);
  if (lines.size() > 4) lines.erase(lines.begin(), lines.end() - 4);
  return Join(lines, "; ");
}

}  // namespace mcpfleet::gitsync
