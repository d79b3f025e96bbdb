#include "edge-runtime/shim/shim_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/strings.h"
#include "edge-runtime/shim/journal.h"

namespace mcpfleet::shim {
namespace {

// Shim and helpers have one thread each.
std::vector<int> ChildrenOf(int pid) {
  std::string number = std::to_string(pid);
  StatusOr<std::string> text = ReadFile("/proc/" + number + "/task/" + number + "/children", size_t{1} << 20);
  std::vector<int> children;
  if (!text.ok()) return children;
  for (const std::string& each : Split(*text, ' ')) {
    if (!each.empty()) children.push_back(std::atoi(each.c_str()));
  }
  return children;
}

// The last number of NSpid: the pid in the innermost namespace.
int InnerPid(int pid) {
  StatusOr<std::string> text = ReadFile("/proc/" + std::to_string(pid) + "/status", size_t{64} << 10);
  if (!text.ok()) return 0;
  size_t at = text->find("\nNSpid:");
  if (at == std::string::npos) return pid;
  std::string line = text->substr(at + 7, text->find('\n', at + 1) - at - 7);
  size_t last = line.find_last_of(" \t");
  return std::atoi(line.c_str() + (last == std::string::npos ? 0 : last + 1));
}

}  // namespace

StatusOr<ChildPipes> MakeChildPipes() {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  ChildPipes pipes;
  pipes.in_r.Reset(in[0]);
  pipes.in_w.Reset(in[1]);
  if (pipe2(out, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  pipes.out_r.Reset(out[0]);
  pipes.out_w.Reset(out[1]);
  // A server that opens /dev/stdin opens the pipe anew, as another user than who made it.
  fchmod(pipes.in_r.get(), 0666);
  fchmod(pipes.out_w.get(), 0666);
  fcntl(pipes.out_r.get(), F_SETPIPE_SZ, kOutPipeBytes);
  fcntl(pipes.in_w.get(), F_SETFL, O_NONBLOCK);
  fcntl(pipes.out_r.get(), F_SETFL, O_NONBLOCK);
  return pipes;
}

int HostPid(int shim, int inner) {
  for (int helper : ChildrenOf(shim)) {
    for (int child : ChildrenOf(helper)) {
      if (InnerPid(child) == inner) return child;
    }
  }
  return 0;
}

}  // namespace mcpfleet::shim
