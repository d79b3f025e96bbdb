// Memory and CPU of a process's cgroup, read from the kernel: a thousandth of the cost of the engine's stats call.
#pragma once

#include <string>

#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

struct KernelPaths {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
};

// Of the cgroups (v1 or v2) that `pid` is in. NotFound when they can't be seen from here.
StatusOr<InstanceUsage> ReadCgroupUsage(int pid, const KernelPaths& paths);
// The same in two steps, for who asks again and again: the cgroups that a process is in, as the kernel says it (a
// container's never change), and what they use. NotFound for the latter also when the container has ended.
StatusOr<std::string> CgroupsOf(int pid, const KernelPaths& paths);
StatusOr<InstanceUsage> UsageOfCgroups(std::string_view cgroups, const KernelPaths& paths);

// What tells this process from a later one with the same number: its start time in clock ticks since boot. NotFound
// when there is no such process here.
StatusOr<std::string> ProcessStartTicks(int pid, const KernelPaths& paths);

// Kills what runs in the cgroup of a container that its engine takes for ended. An engine that stopped in the middle of
// a start can lose a task that its containerd has begun. Returns how many there were.
int KillLostProcesses(const std::string& container_id, const KernelPaths& paths);

}  // namespace mcpfleet
