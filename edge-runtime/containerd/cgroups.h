// The cgroups that runc makes for our containers, seen from outside: what this node can limit, kills for want of
// memory, and processes that are still there when containerd thinks that all have ended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mcpfleet::containerd {

struct CgroupFacts {
  std::string root = "/sys/fs/cgroup";
  bool v2 = false;
  bool swap_limit = false;
  std::vector<std::string> missing;  // "memory limit", "cpu limit", "pids limit", "swap limit"
};
CgroupFacts DetectCgroups(const std::string& root = "/sys/fs/cgroup");

// Of the cgroup at `path` ("/parent/id"), also after its processes ended; 0 when it is gone or can't be seen.
int64_t OomKills(const CgroupFacts& facts, const std::string& path);
// The process in it with the smallest number, which its first one has as a rule; 0 when there is none.
int FirstProcess(const CgroupFacts& facts, const std::string& path);
// Kills every process in it; returns how many there were.
int KillAll(const CgroupFacts& facts, const std::string& path);
// Removes it where runc did not; one with processes stays.
void RemoveCgroup(const CgroupFacts& facts, const std::string& path);

}  // namespace mcpfleet::containerd
