#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

// A new network namespace has only a loopback device, and it is down: servers that listen on 127.0.0.1 need it.
bool LoopbackUp() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailErrno("loopback: socket");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool ok = ioctl(fd, SIOCSIFFLAGS, &request) == 0 || FailErrno("loopback: up");
  close(fd);
  return ok;
}

}  // namespace

uint64_t NamespaceFlags(const Config& config) {
  uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (OwnNetwork(config)) flags |= CLONE_NEWNET;
  return flags;
}

bool EnterNamespaces(const Config& config) {
  if (unshare(CLONE_NEWCGROUP) != 0) return FailErrno("cgroup namespace");
  if (sethostname(config.id, strlen(config.id)) != 0) return FailErrno("host name");
  return !OwnNetwork(config) || (LoopbackUp() && MakeUnreachable(config));
}

}  // namespace mcpfleet::sandbox
