// mcp-shim: the first process of a server's container or sandbox (design: PID 1, one child per session, a connection to
// mcplet that may come and go). Static and small, because one lives beside every server.
//
//   mcp-shim --instance ID [--socket /.mcp/agent.sock] [--allow-not-init] -- default-command args...
//
// Exit codes: 0 after a shutdown, 2 wrong usage, 3 not the first process of a pid namespace.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "edge-runtime/shim/init/child.h"
#include "edge-runtime/shim/init/shim.h"
#include "edge-runtime/shim/init/tree.h"

namespace {

using mcpfleet::shim::Inherited;
using mcpfleet::shim::Options;
using mcpfleet::shim::Say;

bool ParseArguments(int argc, char** argv, Options* options, Inherited* inherited) {
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; ++i) {
    if (strcmp(argv[i], "--allow-not-init") == 0) {
      inherited->init = false;
    } else if (strcmp(argv[i], "--instance") == 0 && i + 1 < argc) {
      options->instance = argv[++i];
    } else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
      options->socket = argv[++i];
    } else {
      return false;
    }
  }
  inherited->argv = i < argc ? argv + i + 1 : argv + argc;
  size_t size = strlen(options->instance);
  return size > 0 && size <= mcpfleet::shim::kMaxInstanceBytes;
}

// Before the first child, so that none can read it; the copy on our stack segment goes with it.
void TakeToken(Options* options) {
  char* token = getenv(mcpfleet::shim::kTokenVariable);
  if (token == nullptr) return;
  const size_t size = strlen(token);
  if (size <= mcpfleet::shim::kMaxTokenBytes) memcpy(options->token, token, size + 1);
  explicit_bzero(token, size);
  unsetenv(mcpfleet::shim::kTokenVariable);
}

// Descriptors 0, 1, 2 must exist, or the first socket would become a child's standard stream.
void FillStandardStreams() {
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // First of all: while dumpable, a child as root could open our descriptors and memory.
  prctl(PR_SET_DUMPABLE, 0);
  static Options options;
  static Inherited inherited;
  TakeToken(&options);
  FillStandardStreams();
  if (!ParseArguments(argc, argv, &options, &inherited)) {
    Say("usage: mcp-shim --instance ID [--socket PATH] -- command args...");
    return 2;
  }
  if (inherited.init && (getpid() != 1 || !mcpfleet::shim::ProcIsOurs())) {
    // As an ordinary process its children could signal and outlive it.
    Say("not the first process of a pid namespace with its own /proc: refusing to start");
    return 3;
  }
  if (!inherited.init) {
    // For tests. What is checked by the pid namespace otherwise is then up to the caller.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  getrlimit(RLIMIT_NOFILE, &inherited.files);
  rlimit files = inherited.files;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  inherited.landlock_abi = mcpfleet::shim::LandlockAbi();

  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) {
    Say("signalfd", errno);
    return 1;
  }
  static mcpfleet::shim::Shim shim(options, inherited);
  return shim.Run(signals);
}
