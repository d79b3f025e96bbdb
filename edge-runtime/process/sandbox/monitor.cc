#include "edge-runtime/process/sandbox/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

struct Pipes {
  int log[2], error[2], go[2];
};

LogRotate log_file;  // large: not on the stack
char read_buffer[16384];

// A server that floods its log shares the machine's disk and our CPU time with others: past this many bytes in a
// tenth of a second it waits on the full pipe for the rest of it.
constexpr int64_t kBytesPerWindow = 1 << 20;
constexpr int64_t kWindowMillis = 100;
constexpr int kSetupMillis = 30'000;

int64_t NowMillis() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000} + now.tv_nsec / 1000000;
}

bool SendAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

// Temporary name, fsync, rename: readers see the old or the new content.
bool Replace(int directory, const char* name, const char* text) {
  char temporary[64];
  snprintf(temporary, sizeof temporary, ".%s.tmp", name);
  const int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FailErrno("%s", name);
  const bool ok = SendAll(fd, text, strlen(text)) && fsync(fd) == 0;
  close(fd);
  return (ok && renameat(directory, temporary, directory, name) == 0) || FailErrno("%s", name);
}

// Field 22 of /proc/<pid>/stat: with the pid it names a process for ever.
unsigned long long StartTime(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) at = strchr(at + 1, ' ');
  return at == nullptr ? 0 : strtoull(at + 1, nullptr, 10);
}

bool Ready(const Pipes& pipes, const Config& config) {
  if (!EnterNamespaces(config) || !MakeRoot(config) || !SetLimits(config) || !DropPrivileges(config)) return false;
  // The change of user has cleared it. If the monitor died in between, its end of the pipe is closed.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return FailErrno("death signal");
  struct pollfd monitor = {pipes.go[0], 0, 0};
  if (poll(&monitor, 1, 0) != 0) return Fail("the monitor is gone");
  return ApplyLandlock(config);
}

// First process of the instance, up to exec.
[[noreturn]] void RunChild(const Config& config, const Pipes& pipes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(pipes.go[1]);
  char go = 0;
  if (read(pipes.go[0], &go, 1) != 1) _exit(127);  // the monitor died before we were in our cgroups
  for (int signal = 1; signal < 65; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool ok = null >= 0 || FailErrno("/dev/null");
  ok = ok && Ready(pipes, config);
  if (ok) {
    dup2(null, 0);
    dup2(pipes.log[1], 1);
    dup2(pipes.log[1], 2);
    // Everything else closes at exec, whatever we inherited.
    syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    ok = ApplySeccomp();
  }
  if (ok) {
    execve(config.argv[0], const_cast<char* const*>(config.argv), const_cast<char* const*>(config.env));
    FailErrno("exec %s", config.argv[0]);
  }
  SendAll(pipes.error[1], Failure(), strlen(Failure()));
  _exit(127);
}

void Answer(int status, char kind, const char* text) {
  char answer[600];
  const int n = snprintf(answer, sizeof answer, "%c%s", kind, text);
  SendAll(status, answer, static_cast<size_t>(n));  // mcplet may be gone: nothing to do then
  close(status);
}

// Waits for exec: end of file on the pipe that closes at exec. False: Failure() has what the child wrote.
bool WaitForExec(int error) {
  char text[512];
  size_t size = 0;
  const int64_t end = NowMillis() + kSetupMillis;
  while (size < sizeof text - 1) {
    const int64_t left = end - NowMillis();
    struct pollfd fd = {error, POLLIN, 0};
    const int ready = left > 0 ? poll(&fd, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Fail("the sandbox was not up after %d s", kSetupMillis / 1000);
    const ssize_t n = read(error, text + size, sizeof text - 1 - size);
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  text[size] = '\0';
  return size == 0 || Fail("%s", text);
}

bool MakePipes(Pipes* pipes) {
  if (pipe2(pipes->log, O_CLOEXEC) != 0 || pipe2(pipes->error, O_CLOEXEC) != 0 || pipe2(pipes->go, O_CLOEXEC) != 0) {
    return FailErrno("pipe");
  }
  return fcntl(pipes->log[0], F_SETFL, O_NONBLOCK) == 0 || FailErrno("pipe");
}

bool Launch(const Config& config, int directory, Pipes* pipes, pid_t* child, Relay* relay) {
  if (!MakePipes(pipes)) return false;
  const long pid = syscall(SYS_clone, NamespaceFlags(config) | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return FailErrno("clone");
  if (pid == 0) RunChild(config, *pipes);
  *child = static_cast<pid_t>(pid);
  close(pipes->log[1]);
  close(pipes->error[1]);
  close(pipes->go[0]);
  char text[96];
  snprintf(text, sizeof text, "%d %d %llu\n", getpid(), *child, StartTime(*child));
  // In its cgroups and written down before it runs a single instruction of a server: whoever looks can kill it.
  const bool relayed = config.network == Network::kOutbound && OwnNetwork(config);
  const bool ok = JoinCgroups(config, *child) && Replace(directory, kPidFile, text) &&
                  (!relayed || StartRelay(config, *child, relay)) && SendAll(pipes->go[1], "g", 1) &&
                  WaitForExec(pipes->error[0]);
  close(pipes->error[0]);
  return ok;
}

// True while there may be more to read at once.
bool PumpOnce(int fd, bool* open, int64_t* bytes) {
  const ssize_t n = read(fd, read_buffer, sizeof read_buffer);
  if (n > 0) {
    log_file.Add(read_buffer, static_cast<size_t>(n));
    *bytes += n;
    return true;
  }
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) *open = false;
  return false;
}

// A server whose network is gone does not notice, nor does the MCP handshake. It ends, visibly, and is restarted with a
// new one.
void EndWithoutNetwork(pid_t child, const Relay& relay) {
  char words[256], line[400];
  LastWords(relay, words, sizeof words);
  const int n = snprintf(line, sizeof line, "mcp-sandbox: slirp4netns ended, and the instance with it: %s\n", words);
  log_file.Add(line, static_cast<size_t>(n));
  kill(child, SIGKILL);
}

// Until PID 1 has exited and its log is written; returns the wait status.
int Watch(pid_t child, Relay* relay, int signals, int log, int owner) {
  int status = 0;
  bool log_open = true, alive = true;
  int64_t window = NowMillis(), bytes = 0, drain_until = 0;
  while (alive || (log_open && NowMillis() < drain_until)) {
    const int64_t now = NowMillis();
    if (now - window >= kWindowMillis) {
      window = now;
      bytes = 0;
    }
    const bool throttled = bytes >= kBytesPerWindow;
    struct pollfd fds[3] = {
        {signals, POLLIN, 0}, {log_open && !throttled ? log : -1, POLLIN, 0}, {alive ? owner : -1, POLLIN, 0}};
    int timeout = -1;
    if (throttled) timeout = static_cast<int>(window + kWindowMillis - now);
    if (!alive && !throttled) timeout = static_cast<int>(drain_until - now);
    if (poll(fds, 3, timeout) < 0 && errno != EINTR) break;
    if (fds[2].revents != 0) {
      kill(child, SIGKILL);
      owner = -1;
    }
    if (fds[1].revents != 0) {
      while (bytes < kBytesPerWindow && PumpOnce(log, &log_open, &bytes)) {
      }
      log_file.Flush(false);
    }
    struct signalfd_siginfo info;
    if (fds[0].revents == 0 || read(signals, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo != SIGCHLD) {
      kill(child, static_cast<int>(info.ssi_signo));
      continue;
    }
    if (alive && waitpid(child, &status, WNOHANG) == child) {
      alive = false;
      drain_until = NowMillis() + 1000;  // every writer died with PID 1; a second is for a slow disk
    }
    if (RelayEnded(relay) && alive) EndWithoutNetwork(child, *relay);
  }
  log_file.Flush(true);
  return status;
}

void WriteExit(int directory, int status, bool oom) {
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const int code = signal != 0 ? 128 + signal : WEXITSTATUS(status);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char text[160];
  snprintf(text, sizeof text, "{\"code\":%d,\"finishedAtMillis\":%lld,\"oom\":%s,\"signal\":%d}\n", code,
           static_cast<long long>(now.tv_sec) * 1000 + now.tv_nsec / 1000000, oom ? "true" : "false", signal);
  Replace(directory, kExitFile, text);
}

}  // namespace

int RunMonitor(const Config& config, int directory, int status) {
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&watched, signal);
  sigprocmask(SIG_SETMASK, &watched, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  log_file.Open(directory, config.log_bytes, config.log_files);
  const int64_t kills_before = OomKills(config);
  Pipes pipes;
  pid_t child = -1;
  Relay relay;
  if (signals < 0 || !Launch(config, directory, &pipes, &child, &relay)) {
    EndRelay(&relay);
    if (child > 0) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    unlinkat(directory, kPidFile, 0);
    Answer(status, 'E', signals < 0 ? "signalfd" : Failure());
    return 1;
  }
  Answer(status, 'R', "");
  const int wait_status = Watch(child, &relay, signals, pipes.log[0], config.owner_fd);
  EndRelay(&relay);
  const bool killed = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
  WriteExit(directory, wait_status, killed && OomKills(config) > kills_before);
  return 0;
}

}  // namespace mcpfleet::sandbox
