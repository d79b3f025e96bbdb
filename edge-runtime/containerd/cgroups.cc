#include "edge-runtime/containerd/cgroups.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet::containerd {
namespace {

constexpr size_t kFileBytes = size_t{256} << 10;

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string Read(const std::string& path) { return ReadFile(path, kFileBytes).value_or(""); }

// Every directory that the container has in the hierarchies.
std::vector<std::string> DirectoriesOf(const CgroupFacts& facts, const std::string& path) {
  if (facts.v2) return {facts.root + path};
  std::vector<std::string> directories;
  DIR* listing = opendir(facts.root.c_str());
  if (listing == nullptr) return directories;
  while (const dirent* entry = readdir(listing)) {
    const std::string directory = facts.root + "/" + entry->d_name + path;
    if (entry->d_name[0] != '.' && Exists(directory + "/cgroup.procs")) directories.push_back(directory);
  }
  closedir(listing);
  return directories;
}

}  // namespace

CgroupFacts DetectCgroups(const std::string& root) {
  CgroupFacts facts{.root = root};
  facts.v2 = Exists(root + "/cgroup.controllers");
  const std::vector<std::string> v2 =
      facts.v2 ? Split(Trim(Read(root + "/cgroup.controllers")), ' ') : std::vector<std::string>();
  for (const char* controller : {"memory", "cpu", "pids"}) {
    const bool there = facts.v2 ? std::find(v2.begin(), v2.end(), controller) != v2.end()
                                : Exists(root + "/" + controller + "/cgroup.procs");
    if (!there) facts.missing.push_back(std::string(controller) + " limit");
  }
  // In v2 runc itself does without where the kernel accounts for no swap.
  facts.swap_limit = facts.v2 || Exists(root + "/memory/memory.memsw.limit_in_bytes");
  if (!facts.swap_limit) facts.missing.emplace_back("swap limit");
  return facts;
}

int64_t OomKills(const CgroupFacts& facts, const std::string& path) {
  const std::string text = facts.v2 ? Read(facts.root + path + "/memory.events")
                                    : Read(facts.root + "/memory" + path + "/memory.oom_control");
  for (const std::string& line : Split(text, '\n')) {
    if (line.starts_with("oom_kill ")) return std::strtoll(line.c_str() + 9, nullptr, 10);
  }
  return 0;
}

int FirstProcess(const CgroupFacts& facts, const std::string& path) {
  int first = 0;
  for (const std::string& directory : DirectoriesOf(facts, path)) {
    for (const std::string& line : Split(Read(directory + "/cgroup.procs"), '\n')) {
      const int pid = static_cast<int>(std::strtol(line.c_str(), nullptr, 10));
      if (pid > 0 && (first == 0 || pid < first)) first = pid;
    }
  }
  return first;
}

int KillAll(const CgroupFacts& facts, const std::string& path) {
  std::set<pid_t> killed;
  for (const std::string& directory : DirectoriesOf(facts, path)) {
    for (const std::string& line : Split(Read(directory + "/cgroup.procs"), '\n')) {
      const auto pid = static_cast<pid_t>(std::strtol(line.c_str(), nullptr, 10));
      if (pid > 1 && kill(pid, SIGKILL) == 0) killed.insert(pid);
    }
  }
  return static_cast<int>(killed.size());
}

void RemoveCgroup(const CgroupFacts& facts, const std::string& path) {
  for (const std::string& directory : DirectoriesOf(facts, path)) rmdir(directory.c_str());
}

}  // namespace mcpfleet::containerd
