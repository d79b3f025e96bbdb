#include "tests/edge-runtime/shim/shim_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "base/argv.h"
#include "base/strings.h"

namespace mcpfleet::shim_test {

bool Eventually(const std::function<bool()>& condition, Duration limit) {
  Deadline deadline = Deadline::After(limit);
  while (!condition()) {
    if (deadline.Expired()) return condition();
    poll(nullptr, 0, 2);
  }
  return true;
}

TempDirectory::TempDirectory() {
  char path[] = "/tmp/shim_test.XXXXXX";
  if (mkdtemp(path) == nullptr) std::abort();
  path_ = path;
}
TempDirectory::~TempDirectory() { RemoveTree(path_).IgnoreError(); }

namespace {

// Between clone and exec: system calls only.
void Step(bool good, const char* what) {
  if (good) return;
  perror(what);
  _exit(99);
}

void BindFile(const char* from, const char* to) {
  int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
  Step(fd >= 0, to);
  close(fd);
  Step(mount(from, to, nullptr, MS_BIND, nullptr) == 0, to);
}

}  // namespace

int StartShimProcess(const std::string& instance, const std::string& directory, const ShimProcessOptions& options) {
  std::string binary = std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim";
  char self[4096] = {0};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return -1;
  std::vector<std::string> argv = {"/mnt/mcp-shim", "--instance", instance, "--socket", "/mnt/mcp/agent.sock", "--"};
  argv.insert(argv.end(), options.default_argv.begin(), options.default_argv.end());
  const std::vector<char*> pointers = ArgvOf(argv);
  const char* environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "MCP_SHIM_TOKEN=sesame", "INHERITED=yes", nullptr};
  int pid =
      static_cast<int>(syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid != 0) return pid;
  Step(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private");
  Step(mount("proc", "/proc", "proc", 0, nullptr) == 0, "/proc");
  Step(mount("tmpfs", "/mnt", "tmpfs", 0, "mode=1777") == 0, "/mnt");
  Step(mkdir("/mnt/mcp", 0755) == 0, "/mnt/mcp");
  Step(mount(directory.c_str(), "/mnt/mcp", nullptr, MS_BIND, nullptr) == 0, "bind");
  Step(mount(nullptr, "/mnt/mcp", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0, "read-only");
  BindFile(binary.c_str(), "/mnt/mcp-shim");
  BindFile(self, "/mnt/child");
  if (options.stderr_fd >= 0) dup2(options.stderr_fd, 2);
  Step(chdir("/") == 0, "chdir");
  // As in a container: no capabilities, not even for root.
  for (int capability = 0; capability < 64; ++capability) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  Step(PretendLandlock(options.landlock), "seccomp");
  if (options.uid != 0) {
    // Not glibc's, which would wait for threads that were not cloned.
    Step(syscall(SYS_setgroups, 0, nullptr) == 0 && syscall(SYS_setgid, options.uid) == 0 &&
             syscall(SYS_setuid, options.uid) == 0,
         "setuid");
  }
  execve("/mnt/mcp-shim", pointers.data(), const_cast<char**>(environment));
  Step(false, "exec mcp-shim");
  return -1;
}

void KillAndReap(int pid) {
  if (pid <= 0) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::vector<std::string> ChildArgv(const std::string& role, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/mnt/child", "--role", role};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

std::vector<int> ProcessesBelow(int shim) {
  char space[64];
  snprintf(space, sizeof space, "/proc/%d/ns/pid", shim);
  struct stat wanted {};
  std::vector<int> found;
  if (stat(space, &wanted) != 0) return found;
  DIR* proc = opendir("/proc");
  while (dirent* entry = readdir(proc)) {
    int pid = atoi(entry->d_name);
    struct stat other {};
    snprintf(space, sizeof space, "/proc/%d/ns/pid", pid);
    if (pid <= 0 || pid == shim || stat(space, &other) != 0 || other.st_ino != wanted.st_ino) continue;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::stringstream text;
    text << file.rdbuf();
    size_t name_end = text.str().rfind(')');
    if (name_end == std::string::npos || text.str()[name_end + 2] == 'Z') continue;
    found.push_back(pid);
  }
  closedir(proc);
  return found;
}

World::World() { StartHost(); }

World::~World() {
  for (auto& [instance, pid] : pids_) KillAndReap(pid);
}

ClientIoThread::ClientIoThread(ShimHost& host) : stop_(eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([&host, stop = stop_.get()] {
    for (;;) {
      pollfd ready[] = {{host.ClientIoFd(), POLLIN, 0}, {stop, POLLIN, 0}};
      if (poll(ready, 2, -1) < 0) continue;
      if (ready[1].revents != 0) return;
      host.RunClientIo();
    }
  });
}

ClientIoThread::~ClientIoThread() {
  const uint64_t one = 1;
  EXPECT_EQ(write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  thread_.join();
}

void World::StartHost() {
  auto host = ShimHost::Create(directory_.path(), clock_);
  EXPECT_TRUE(host.ok()) << host.status();
  host_ = *std::move(host);
  client_io_ = std::make_unique<ClientIoThread>(*host_);
  for (auto& [instance, pid] : pids_) {
    EXPECT_TRUE(host_->Prepare(instance).ok());
    host_->Expect(instance, pid);
  }
  for (auto& [instance, pid] : pids_) {
    EXPECT_TRUE(Eventually([&, name = instance] { return host_->Connected(name); })) << instance;
  }
}

void World::RestartHost() {
  StopHost();
  StartHost();
}

int World::Start(const std::string& instance, const ShimProcessOptions& options) {
  auto directory = host_->Prepare(instance);
  EXPECT_TRUE(directory.ok()) << directory.status();
  int pid = StartShimProcess(instance, *directory, options);
  EXPECT_GT(pid, 0);
  pids_[instance] = pid;
  host_->Expect(instance, pid);
  EXPECT_TRUE(Eventually([&] { return host_->Connected(instance); })) << "the shim did not connect";
  return pid;
}

Lines::Lines(std::shared_ptr<StdioChannel> channel) : channel_(std::move(channel)) {
  channel_->SetReceiver([this](std::string_view line) {
    MutexLock lock(&mu_);
    lines_.emplace_back(line);
  });
}
Lines::~Lines() { channel_->SetReceiver(nullptr); }

bool Lines::WaitFor(size_t n, Duration limit) {
  return Eventually(
      [&] {
        MutexLock lock(&mu_);
        return lines_.size() >= n;
      },
      limit);
}

std::vector<std::string> Lines::all() {
  MutexLock lock(&mu_);
  return lines_;
}

}  // namespace mcpfleet::shim_test
