#include "edge-runtime/shim/init/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mcpfleet::shim {
namespace {

// linux/landlock.h of Debian 12 is older than the kernels we meet; the numbers are ABI.
constexpr long kLandlockCreateRuleset = 444, kLandlockAddRule = 445, kLandlockRestrictSelf = 446;
constexpr uint64_t kLandlockRefer = uint64_t{1} << 13;
constexpr uint64_t kLandlockScopeAbstractUnixSocket = 1, kLandlockScopeSignal = 2;
struct RulesetAttr {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
struct PathBeneathAttr {
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed));

// A domain of its own for each child: it can't trace, and from ABI 6 on not signal, children of other sessions, which
// have the same uid. Files stay shared. ABI 1 can't allow renames across directories, so it is not used.
// False, with errno: it is not in a domain.
bool EnterLandlock(uint32_t abi) {
  if (abi < 2) return false;
  RulesetAttr attr{};
  size_t size = sizeof attr;
  if (abi >= kSeparatingLandlockAbi) {
    attr.scoped = kLandlockScopeAbstractUnixSocket | kLandlockScopeSignal;
  } else {
    attr.handled_access_fs = kLandlockRefer;
    size = sizeof attr.handled_access_fs;
  }
  int ruleset = static_cast<int>(syscall(kLandlockCreateRuleset, &attr, size, 0));
  if (ruleset < 0) return false;
  bool complete = true;
  if (abi < kSeparatingLandlockAbi) {
    PathBeneathAttr beneath{kLandlockRefer, open("/", O_PATH | O_CLOEXEC)};
    complete = beneath.parent_fd >= 0 && syscall(kLandlockAddRule, ruleset, 1 /* path beneath */, &beneath, 0) == 0;
    if (beneath.parent_fd >= 0) close(beneath.parent_fd);
  }
  complete = complete && syscall(kLandlockRestrictSelf, ruleset, 0) == 0;
  const int error = errno;
  close(ruleset);
  errno = error;
  return complete;
}

// When memory runs out the child goes, not the shim that would take every sibling with it.
void PreferForOom() {
  int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  char text[16] = {0};
  long now = read(fd, text, sizeof text - 1) > 0 ? strtol(text, nullptr, 10) : 0;
  now = now + 500 > 1000 ? 1000 : now + 500;
  char out[8];
  int n = 0;
  if (now < 0) out[n++] = '-';
  long digits = now < 0 ? -now : now;
  if (digits >= 1000) out[n++] = static_cast<char>('0' + digits / 1000);
  if (digits >= 100) out[n++] = static_cast<char>('0' + digits / 100 % 10);
  if (digits >= 10) out[n++] = static_cast<char>('0' + digits / 10 % 10);
  out[n++] = static_cast<char>('0' + digits % 10);
  // Best effort: a kernel that refuses still runs the child.
  [[maybe_unused]] bool written = lseek(fd, 0, SEEK_SET) == 0 && write(fd, out, static_cast<size_t>(n)) == n;
  close(fd);
}

// NULL-terminated copies of counted strings; null without memory.
char** Copy(const StringList& list, size_t extra) {
  char** out = static_cast<char**>(calloc(list.count + extra + 1, sizeof(char*)));
  if (out == nullptr) return nullptr;
  Reader reader(list.at, list.size);
  for (uint32_t i = 0; i < list.count; ++i) {
    Bytes b = reader.String();
    out[i] = strndup(b.at == nullptr ? "" : b.at, b.size);
    if (out[i] == nullptr) return nullptr;  // NOLINT(clang-analyzer-unix.Malloc): the child without memory ends at once
  }
  return out;
}

bool SameName(const char* a, const char* b) {
  const char* end = strchr(a, '=');
  size_t n = end == nullptr ? strlen(a) : static_cast<size_t>(end - a);
  return strncmp(a, b, n) == 0 && b[n] == '=';
}

// The shim's environment (the image's and the engine's), with what the agent gave on top.
char** BuildEnvironment(const StringList& given) {
  size_t inherited = 0;
  while (environ[inherited] != nullptr) ++inherited;
  char** out = Copy(given, inherited);
  if (out == nullptr) return nullptr;
  size_t n = given.count;
  for (size_t i = 0; i < inherited; ++i) {
    bool replaced = SameName(environ[i], "MCP_SHIM_TOKEN=");
    for (uint32_t k = 0; k < given.count && !replaced; ++k) replaced = SameName(out[k], environ[i]);
    if (!replaced) out[n++] = environ[i];
  }
  return out;
}

const char* PathOf(char** environment) {
  for (char** e = environment; *e != nullptr; ++e) {
    if (strncmp(*e, "PATH=", 5) == 0) return *e + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// execvpe without its fallback to a shell. Returns errno.
int Exec(char** argv, char** environment) {
  if (argv[0] == nullptr || argv[0][0] == 0) return ENOENT;
  if (strchr(argv[0], '/') != nullptr) {
    execve(argv[0], argv, environment);
    return errno;
  }
  int error = ENOENT;
  const char* path = PathOf(environment);
  for (const char* at = path;;) {
    size_t n = strcspn(at, ":");
    char file[PATH_MAX];
    const size_t name_bytes = strlen(argv[0]) + 1;
    if (n + name_bytes + 1 < sizeof file) {
      memcpy(file, at, n);
      if (n > 0) file[n++] = '/';
      memcpy(file + n, argv[0], name_bytes);
      execve(file, argv, environment);
      // The first real refusal is what a person needs to hear.
      if (errno == EACCES)
        error = EACCES;
      else if (errno != ENOENT && errno != ENOTDIR)
        return errno;
    }
    at += strcspn(at, ":");
    if (*at == 0) return error;
    ++at;
  }
}

[[noreturn]] void Die(int exec_status, Stage stage, int error) {
  ChildFailure failure{stage, error};
  if (write(exec_status, &failure, sizeof failure) < 0) _exit(126);
  _exit(127);
}

void ResetSignals() {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int signo = 1; signo < NSIG; ++signo) sigaction(signo, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

int OpenEmptyInput() {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  close(ends[1]);
  return ends[0];
}

}  // namespace

void CloseAllExcept(int a, int b) {
  if (a > b) {
    int swap = a;
    a = b;
    b = swap;
  }
  unsigned low = static_cast<unsigned>(a), high = static_cast<unsigned>(b);
  bool ok = true;
  if (low > 0) ok = syscall(SYS_close_range, 0U, low - 1, 0U) == 0;
  if (ok && high > low + 1) ok = syscall(SYS_close_range, low + 1, high - 1, 0U) == 0;
  if (ok) ok = syscall(SYS_close_range, high + 1, ~0U, 0U) == 0;
  if (ok) return;
  // Before Linux 5.9, or a filter that does not know it.
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  int end = files.rlim_cur > 65536 ? 65536 : static_cast<int>(files.rlim_cur);
  for (int fd = 0; fd < end; ++fd) {
    if (fd != a && fd != b) close(fd);
  }
}

uint32_t LandlockAbi() {
  long abi = syscall(kLandlockCreateRuleset, nullptr, 0, 1 /* version */);
  return abi > 0 ? static_cast<uint32_t>(abi) : 0;
}

void RunChild(const Spawn& spawn, int in_r, int out_w, int exec_status, const Inherited& inherited) {
  prctl(PR_SET_PDEATHSIG, 0);
  setsid();
  if (in_r < 0) in_r = OpenEmptyInput();
  if (in_r < 0 || dup2(in_r, 0) < 0 || dup2(out_w < 0 ? 2 : out_w, 1) < 0) Die(exec_status, Stage::kStdio, errno);
  // 0, 1, 2 and the status pipe are all that goes on; the pipe closes itself at exec.
  if (dup3(exec_status, 3, O_CLOEXEC) < 0 && exec_status != 3) Die(exec_status, Stage::kStdio, errno);
  exec_status = 3;
  if (syscall(SYS_close_range, 4U, ~0U, 0U) != 0) {
    for (int fd = 4; fd < 65536; ++fd) close(fd);
  }
  setrlimit(RLIMIT_NOFILE, &inherited.files);
  // /proc/self belongs to root while we are not dumpable.
  prctl(PR_SET_DUMPABLE, 1);
  PreferForOom();
  prctl(PR_SET_DUMPABLE, 0);
  char** argv = spawn.argv.count > 0 ? Copy(spawn.argv, 0) : inherited.argv;
  char** environment = BuildEnvironment(spawn.env);
  if (argv == nullptr || environment == nullptr) Die(exec_status, Stage::kMessage, ENOMEM);
  if (spawn.cwd.size > 0) {
    char* cwd = strndup(spawn.cwd.at, spawn.cwd.size);
    if (cwd == nullptr || chdir(cwd) != 0) Die(exec_status, Stage::kChdir, errno);
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // mcplet was told that such children are kept apart, and lets several subjects in. An older kernel promises nothing.
  if (!EnterLandlock(inherited.landlock_abi) && inherited.landlock_abi >= kSeparatingLandlockAbi)
    Die(exec_status, Stage::kLandlock, errno);
  ResetSignals();
  Die(exec_status, Stage::kExec, Exec(argv, environment));
}

}  // namespace mcpfleet::shim
