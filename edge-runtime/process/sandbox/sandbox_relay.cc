// The way out of an instance's own network namespace: slirp4netns, which makes a tap device in it and does in its own
// sockets, in the host's namespace, what the instance asks for there. It reads what servers send, so it gets little
// more than they do: namespaces and a root of its own, no capabilities once it is up, and the instance's cgroups, whose
// limits then cover it and whose end ends it. It insists on being uid 0; what that could reach is not there.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

constexpr int kReadyFd = 3, kNamespaceFd = 4;
constexpr int kReadyMillis = 10'000;
constexpr rlim_t kOutputBytes = 16384;
Config relay_config;  // large: not on the stack

// The host's root as the relay sees it: what its program needs to be executed, and the host's resolver.
void MakeRelayConfig(const Config& config) {
  Config& out = relay_config;
  out.uid = out.gid = 0;
  out.network = Network::kHost;
  out.root_bytes = 1 << 20;
  out.tmp_bytes = 65536;
  out.nofile_soft = out.nofile_hard = 65536;  // one for each connection
  // For its setup; its own --enable-sandbox leaves CAP_NET_BIND_SERVICE.
  for (int cap : {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETPCAP, CAP_NET_BIND_SERVICE})
    out.capabilities |= uint64_t{1} << cap;
  for (int i = 0; i < config.mount_count; ++i) {
    for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache"}) {
      if (strcmp(config.mounts[i].target, path) == 0) out.mounts[out.mount_count++] = config.mounts[i];
    }
  }
  out.mounts[out.mount_count++] = {MountKind::kBind, "ro", "/etc/resolv.conf", "/etc/resolv.conf", 0};
  out.mounts[out.mount_count++] = {MountKind::kFile, "", "127.0.0.1 localhost\n", "/etc/hosts", 0};
  out.mounts[out.mount_count++] = {MountKind::kBind, "wd", "/dev/net/tun", "/dev/net/tun", 0};
  out.mounts[out.mount_count++] = {MountKind::kTmpfs, "", "", "/run", 4096};  // its sandbox looks for one
}

bool Descriptors(int ready, int network, int output) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  // Out of the way of the numbers that they are to have.
  const int high_ready = fcntl(ready, F_DUPFD_CLOEXEC, 20), high_network = fcntl(network, F_DUPFD_CLOEXEC, 20);
  const bool ok = null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(output, 2) == 2 &&
                  dup2(high_ready, kReadyFd) == kReadyFd && dup2(high_network, kNamespaceFd) == kNamespaceFd;
  return ok && syscall(SYS_close_range, 5u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0;
}

// If the monitor died before this its end of the pipe is closed.
bool DieWithMonitor() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return FailErrno("death signal");
  struct pollfd monitor = {kReadyFd, 0, 0};
  return poll(&monitor, 1, 0) == 0 || Fail("the monitor is gone");
}

bool LimitOutput() {
  const struct rlimit limit = {kOutputBytes, kOutputBytes};
  return setrlimit(RLIMIT_FSIZE, &limit) == 0 || FailErrno("limit output");
}

[[noreturn]] void RunRelay(const Config& config, int ready, int network, int output) {
  for (int signal = 1; signal < 65; ++signal) ::signal(signal, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();
  bool ok = Descriptors(ready, network, output) || FailErrno("descriptors");
  ok = ok && JoinCgroups(config, getpid()) && MakeRoot(relay_config) && SetLimits(relay_config) && LimitOutput() &&
       DropPrivileges(relay_config) && ApplyLandlock(relay_config) && DieWithMonitor();
  if (ok) {
    const char* argv[] = {config.relay,
                          "--configure",
                          "--mtu=65520",
                          "--disable-host-loopback",
                          "--enable-sandbox",
                          "--enable-seccomp",
                          "--ready-fd=3",
                          "--netns-type=path",
                          "/proc/self/fd/4",
                          "eth0",
                          nullptr};
    const char* env[] = {nullptr};
    execve(config.relay, const_cast<char* const*>(argv), const_cast<char* const*>(env));
    FailErrno("exec %s", config.relay);
  }
  dprintf(2, "%s\n", Failure());
  _exit(127);
}

bool WaitUntilReady(int ready, const Relay& relay) {
  struct pollfd fd = {ready, POLLIN, 0};
  int n = 0;
  while ((n = poll(&fd, 1, kReadyMillis)) < 0 && errno == EINTR) {
  }
  char byte = 0;
  if (n > 0 && read(ready, &byte, 1) == 1) return true;
  char words[400];
  LastWords(relay, words, sizeof words);
  return Fail("network: %s", n == 0 ? "slirp4netns was not ready in time" : words);
}

}  // namespace

bool StartRelay(const Config& config, pid_t child, Relay* relay) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", child);
  const int network = open(path, O_RDONLY | O_CLOEXEC);
  int ready[2];
  if (network < 0 || pipe2(ready, O_CLOEXEC) != 0) return FailErrno("network");
  relay->output = memfd_create("relay", MFD_CLOEXEC);
  MakeRelayConfig(config);
  constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  const long pid =
      relay->output < 0 ? -1 : syscall(SYS_clone, kNamespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) {
    close(ready[0]);
    RunRelay(config, ready[1], network, relay->output);
  }
  relay->pid = static_cast<pid_t>(pid);
  if (pid < 0) FailErrno("network: clone");
  close(ready[1]);
  close(network);
  const bool ok = relay->pid > 0 && WaitUntilReady(ready[0], *relay);
  close(ready[0]);
  return ok;
}

void LastWords(const Relay& relay, char* text, size_t size) {
  const off_t end = lseek(relay.output, 0, SEEK_END), start = end > off_t(size) ? end - off_t(size) + 1 : 0;
  ssize_t n = pread(relay.output, text, size - 1, start);
  while (n > 0 && text[n - 1] == '\n') --n;
  text[n > 0 ? n : 0] = '\0';
  for (char* at = text; (at = strchr(at, '\n')) != nullptr;) *at = ';';
}

bool RelayEnded(Relay* relay) {
  if (relay->pid <= 0 || waitpid(relay->pid, nullptr, WNOHANG) != relay->pid) return false;
  relay->pid = -1;
  return true;
}

void EndRelay(Relay* relay) {
  if (relay->pid <= 0) return;
  kill(relay->pid, SIGKILL);
  waitpid(relay->pid, nullptr, 0);
  relay->pid = -1;
}

}  // namespace mcpfleet::sandbox
