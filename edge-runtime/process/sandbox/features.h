// One function per kernel feature, each in its own file sandbox_<feature>.cc. All but those of the monitor are called
// in the first process of the instance, between clone and exec, in the order of this header. False: Failure() says why.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "edge-runtime/process/sandbox/config.h"

namespace mcpfleet::sandbox {

// Namespaces to clone with.
uint64_t NamespaceFlags(const Config& config);
// Inside: own cgroup namespace (after the monitor moved us into the cgroups), host name, loopback up, and what is not
// to be reached.
bool EnterNamespaces(const Config& config);
// In the instance's own network namespace, once the relay has made its routes.
bool MakeUnreachable(const Config& config);
// Builds the root file system below ./rootfs and pivots into it.
bool MakeRoot(const Config& config);
bool SetLimits(const Config& config);
// Drops capabilities and becomes the user. After this nothing privileged works.
bool DropPrivileges(const Config& config);
bool ApplyLandlock(const Config& config);
bool ApplySeccomp();

// In the monitor.
bool JoinCgroups(const Config& config, pid_t pid);
// Kills by the OOM killer so far in the instance's memory cgroup; 0 when that can't be known.
int64_t OomKills(const Config& config);

// In the monitor: the process that gives the instance's own network namespace a way out (config.relay).
struct Relay {
  pid_t pid = -1;   // a child of the monitor, killed with it
  int output = -1;  // what it wrote to stderr, at most some KiB
};
// True: the network of `child` is up. After false too EndRelay is due.
bool StartRelay(const Config& config, pid_t child, Relay* relay);
// True once: it has ended by itself.
bool RelayEnded(Relay* relay);
// The last of its output, on one line.
void LastWords(const Relay& relay, char* text, size_t size);
void EndRelay(Relay* relay);

}  // namespace mcpfleet::sandbox
