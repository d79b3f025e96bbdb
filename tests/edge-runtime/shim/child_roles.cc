// What the test program does when a shim starts it as a server: it runs before main() and never comes back from it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/edge-runtime/shim/numbered_lines.h"

namespace mcpfleet::shim_test {
namespace {

void WriteFully(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(90);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void Print(const std::string& line) { WriteFully(1, line + "\n"); }

[[noreturn]] void WaitForever() {
  for (;;) pause();
}

template <typename F>
void EachLine(F f) {
  std::string pending;
  std::vector<char> buffer(1 << 16);
  for (;;) {
    ssize_t n = read(0, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    size_t scanned = pending.size();
    pending.append(buffer.data(), static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t at; (at = pending.find('\n', std::max(scanned, begin))) != std::string::npos; begin = at + 1) {
      f(pending.substr(begin, at - begin));
    }
    pending.erase(0, begin);
  }
}

int Echo() {
  EachLine([](const std::string& line) { Print(line); });
  Print("eof");
  return 7;
}

// Ignores the end of its input and SIGTERM.
int Stubborn() {
  signal(SIGTERM, SIG_IGN);
  Print("ready");
  WaitForever();
}

int TermExits() {
  static int code = 33;
  signal(SIGTERM, [](int) { _exit(code); });
  Print("ready");
  WaitForever();
}

// Daemons: own session, double fork, TERM ignored, some of them subreapers; the leader ends when told to.
int Daemons(int count) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  for (int i = 0; i < count; ++i) {
    pid_t pid = fork();
    if (pid == 0) {
      setsid();
      if (i % 3 == 0) prctl(PR_SET_CHILD_SUBREAPER, 1);
      if (fork() == 0) {
        setsid();
        WaitForever();
      }
      if (i % 3 != 0) _exit(0);
      WaitForever();
    }
  }
  Print("ready");
  EachLine([](const std::string&) { _exit(0); });
  WaitForever();
}

// A process that is never where one looks: forks and exits.
int Hopper() {
  signal(SIGTERM, SIG_IGN);
  if (fork() == 0) {
    setsid();
    for (;;) {
      pid_t pid = fork();
      if (pid != 0) _exit(0);
    }
  }
  Print("ready");
  WaitForever();
}

// Forks as fast as it can, up to a limit that keeps the machine alive.
int Bomb() {
  signal(SIGTERM, SIG_IGN);
  Print("ready");
  for (int i = 0; i < 7; ++i) {
    if (fork() < 0) break;
  }
  WaitForever();
}

int ShowEnvironment() {
  for (char** e = environ; *e != nullptr; ++e) Print(*e);
  Print("end");
  return 0;
}

int ShowSelf() {
  Print("sid " + std::to_string(getsid(0) == getpid() ? 1 : 0));
  Print("nnp " + std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
  char text[16] = {0};
  int fd = open("/proc/self/oom_score_adj", O_RDONLY);
  if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
  close(fd);
  Print("oom " + std::to_string(atoi(text)));
  int open_files = 0;
  for (int i = 0; i < 1024; ++i) open_files += fcntl(i, F_GETFD) >= 0 ? 1 : 0;
  Print("fds " + std::to_string(open_files));
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  Print("blocked " + std::to_string(sigismember(&blocked, SIGTERM)));
  struct sigaction action {};
  sigaction(SIGPIPE, nullptr, &action);
  Print("sigpipe " + std::to_string(action.sa_handler == SIG_DFL ? 0 : 1));
  return 0;
}

int ConnectTo(const char* path) {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// Tries what a hostile child would, and says what came of it.
int Hostile() {
  Print(std::string("socket ") + (access("/mnt/mcp/agent.sock", F_OK) == 0 ? "there" : "absent"));
  Print(std::string("unlink ") + (unlink("/mnt/mcp/agent.sock") == 0 ? "done" : strerror(errno)));
  int fd = open("/mnt/mcp/mine", O_CREAT | O_WRONLY, 0644);
  Print(std::string("create ") + (fd >= 0 ? "done" : strerror(errno)));
  fd = open("/proc/1/environ", O_RDONLY);
  char environment[4096] = {0};
  ssize_t got = fd >= 0 ? read(fd, environment, sizeof environment) : -1;
  bool token = std::string_view(environment, sizeof environment).find("sesame") != std::string_view::npos;
  Print(std::string("environ ") + (token ? "token" : got > 0 ? "read" : "refused"));
  fd = open("/proc/1/mem", O_RDWR);
  Print(std::string("mem ") + (fd >= 0 ? "open" : "refused"));
  fd = open("/proc/1/fd/3", O_RDWR);
  Print(std::string("fd ") + (fd >= 0 ? "open" : "refused"));
  Print(std::string("ptrace ") + (ptrace(PTRACE_SEIZE, 1, nullptr, nullptr) == 0 ? "done" : "refused"));
  kill(1, SIGKILL);
  kill(1, SIGTERM);
  kill(1, SIGSTOP);
  Print(std::string("helper ") + (kill(getppid(), SIGKILL) == 0 ? "killed" : "refused"));
  EachLine([](const std::string& line) { Print(line); });
  return 0;
}

sockaddr_un AbstractAddress(int pid) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "victim-%d", pid);
  return address;
}

// Can be reached by an abstract socket; says its pid, then echoes.
int Victim() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = AbstractAddress(getpid());
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, 1) != 0) return 93;
  Print(std::to_string(getpid()));
  EachLine([](const std::string& line) { Print(line); });
  return 0;
}

// Tries what a hostile child would do to another client's, without harming it, and says what came of it.
int Prowler(int victim) {
  const auto say = [](const char* what, bool done) { Print(std::string(what) + (done ? " done" : " refused")); };
  const std::string proc = "/proc/" + std::to_string(victim);
  say("signal", kill(victim, SIGURG) == 0);
  const bool traced = ptrace(PTRACE_SEIZE, victim, nullptr, nullptr) == 0;
  say("trace", traced);
  say("memory", open((proc + "/mem").c_str(), O_RDWR | O_CLOEXEC) >= 0);
  char bytes[64];
  const int environment = open((proc + "/environ").c_str(), O_RDONLY | O_CLOEXEC);
  say("environment", environment >= 0 && read(environment, bytes, sizeof bytes) > 0);
  say("descriptor", open((proc + "/fd/1").c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK) >= 0);
  const iovec mine{bytes, 1}, its{reinterpret_cast<void*>(&Prowler), 1};
  say("copy", process_vm_readv(victim, &mine, 1, &its, 1, 0) == 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = AbstractAddress(victim);
  say("socket", connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  EachLine([](const std::string& line) { Print(line); });
  return 0;
}

// Connects for ever to whatever socket is there and says hello as the instance.
int Flood(const std::string& instance) {
  Print("ready");
  std::string hello(16, 0);
  hello[0] = 1;
  hello[2] = 1;
  uint32_t n = static_cast<uint32_t>(instance.size());
  hello.append(reinterpret_cast<char*>(&n), 4);
  hello += instance + std::string(20, 0);
  for (int i = 0; i < 8; ++i) {
    if (fork() == 0) break;
  }
  bool connected = false;
  for (;;) {
    int fd = ConnectTo("/mnt/mcp/agent.sock");
    if (fd < 0) {
      poll(nullptr, 0, 1);
      continue;
    }
    if (!connected) Print("connected");
    connected = true;
    if (send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) {
      close(fd);
      continue;
    }
    close(fd);
  }
}

// Numbered lines out, numbered lines in; the log file tells what arrived.
int Stream(const std::string& log_path) {
  std::thread reader([&] {
    // Inside the instance only /mnt is writable for us; the test looks through /proc/<pid>/root.
    int log = open(log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0) _exit(91);
    EachLine([&](const std::string& line) {
      if (line.empty()) return;
      WriteFully(log, std::to_string(CheckNumberedLine(line)) + "\n");
    });
  });
  for (int64_t n = 0;; ++n) WriteFully(1, NumberedLine(n) + "\n");
}

// One line without end, then an ordinary one.
int Oversized(size_t bytes) {
  std::string piece(1 << 16, 'x');
  for (size_t done = 0; done < bytes; done += piece.size()) WriteFully(1, piece);
  Print("");
  Print("after");
  WaitForever();
}

int Run(const std::string& role, const std::vector<std::string>& arguments) {
  auto number = [&](size_t i) { return atoi(arguments.at(i).c_str()); };
  if (role == "echo") return Echo();
  if (role == "exit") return number(0);
  if (role == "abort") abort();
  if (role == "stubborn") return Stubborn();
  if (role == "term-exits") return TermExits();
  if (role == "daemons") return Daemons(number(0));
  if (role == "hopper") return Hopper();
  if (role == "bomb") return Bomb();
  if (role == "environment") return ShowEnvironment();
  if (role == "self") return ShowSelf();
  if (role == "hostile") return Hostile();
  if (role == "victim") return Victim();
  if (role == "prowler") return Prowler(atoi(arguments.at(0).c_str()));
  if (role == "flood") return Flood(arguments.at(0));
  if (role == "stream") return Stream(arguments.at(0));
  if (role == "oversized") return Oversized(static_cast<size_t>(atoll(arguments.at(0).c_str())));
  if (role == "stderr") {
    WriteFully(2, "complaint\n");
    WriteFully(1, "answer\n");
    return 0;
  }
  return 92;
}

__attribute__((constructor)) void PlayRole(int argc, char** argv, char**) {
  if (argc < 3 || strcmp(argv[1], "--role") != 0) return;
  std::vector<std::string> arguments(argv + 3, argv + argc);
  _exit(Run(argv[2], arguments));
}

}  // namespace
}  // namespace mcpfleet::shim_test
