#include "edge-runtime/process/cgroups.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr const char* kControllers[] = {"memory", "cpu", "cpuacct", "pids"};
constexpr size_t kFileBytes = 1 << 20;

// Kernel files are written in one piece and must not be made when absent.
Status WriteKernelFile(const std::string& path, std::string_view value) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return ErrnoStatus(errno, path);
  }
  return OkStatus();
}

std::string ReadKernelFile(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path, kFileBytes);
  return text.ok() ? *std::move(text) : "";
}

int64_t Number(std::string_view text) {
  int64_t value = 0;
  text = Trim(text);
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The number behind `key` in lines "key number".
int64_t Field(const std::string& text, std::string_view key) {
  for (const std::string& line : Split(text, '\n')) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return Number(std::string_view(line).substr(key.size()));
    }
  }
  return 0;
}

}  // namespace

Cgroups Cgroups::Detect(const std::string& mountinfo, const std::string& parent, const std::string& scope) {
  Cgroups found;
  found.parent_ = parent;
  found.scope_ = scope;
  for (const std::string& line : Split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const std::vector<std::string> left = Split(std::string_view(line).substr(0, dash), ' ');
    const std::vector<std::string> right = Split(std::string_view(line).substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    if (right[0] == "cgroup2" && found.v2_root_.empty()) found.v2_root_ = left[4];
    if (right[0] != "cgroup") continue;
    for (const std::string& option : Split(right[2], ',')) {
      if (std::count(std::begin(kControllers), std::end(kControllers), option) > 0)
        found.roots_.try_emplace(option, left[4]);
    }
  }
  if (!found.roots_.empty() || found.v2_root_.empty()) return found;
  found.v2_ = true;
  for (const std::string& controller : Split(Trim(ReadKernelFile(found.v2_root_ + "/cgroup.controllers")), ' ')) {
    if (std::count(std::begin(kControllers), std::end(kControllers), controller) > 0)
      found.roots_[controller] = found.v2_root_;
  }
  return found;
}

std::vector<std::string> Cgroups::Missing() const {
  std::vector<std::string> missing;
  for (const char* controller : {"memory", "cpu", "pids"}) {
    if (!roots_.contains(controller)) missing.emplace_back(controller);
  }
  return missing;
}

std::string Cgroups::Of(const std::string& controller, const std::string& id) const {
  const auto root = roots_.find(controller);
  return root == roots_.end() ? "" : root->second + "/" + parent_ + "/" + scope_ + "/" + id;
}

std::vector<std::string> Cgroups::Directories(const std::string& id) const {
  std::vector<std::string> directories;
  for (const char* controller : kControllers) {
    const std::string directory = Of(controller, id);
    if (!directory.empty() && std::count(directories.begin(), directories.end(), directory) == 0)
      directories.push_back(directory);
  }
  return directories;
}

std::string Cgroups::OomFile(const std::string& id) const {
  const std::string directory = Of("memory", id);
  return directory.empty() ? "" : directory + (v2_ ? "/memory.events" : "/memory.oom_control");
}

Status Cgroups::Set(const std::string& controller, const std::string& id, const std::string& file,
                    const std::string& value) const {
  const std::string directory = Of(controller, id);
  return directory.empty() ? OkStatus() : WriteKernelFile(directory + "/" + file, value);
}

Status Cgroups::Make(const std::string& id, const Resources& limits) const {
  for (const std::string& directory : Directories(id)) {
    Status made = MakeDirectories(directory);
    if (!made.ok())
      made = MakeDirectories(directory);  // Remove of the last instance may take the parent away between two steps
    RETURN_IF_ERROR(made);
  }
  if (v2_) {
    // Controllers are handed down level by level.
    for (const std::string& level : {v2_root_, v2_root_ + "/" + parent_, v2_root_ + "/" + parent_ + "/" + scope_}) {
      for (const char* controller : {"memory", "cpu", "pids"}) {
        if (roots_.contains(controller)) {
          RETURN_IF_ERROR(WriteKernelFile(level + "/cgroup.subtree_control", std::string("+") + controller));
        }
      }
    }
  }
  const std::string memory = std::to_string(limits.memory_bytes);
  const std::string quota = std::to_string(std::max<int64_t>(1000, limits.cpu_milli * 100));
  RETURN_IF_ERROR(Set("pids", id, "pids.max", std::to_string(limits.pids)));
  if (v2_) {
    RETURN_IF_ERROR(Set("memory", id, "memory.max", memory));
    (void)Set("memory", id, "memory.swap.max", "0");  // absent without swap accounting
    return Set("cpu", id, "cpu.max", quota + " 100000");
  }
  // memsw may not be below the limit: lift it first, so that a changed limit can be set in both directions.
  (void)Set("memory", id, "memory.memsw.limit_in_bytes", "-1");
  RETURN_IF_ERROR(Set("memory", id, "memory.limit_in_bytes", memory));
  (void)Set("memory", id, "memory.memsw.limit_in_bytes", memory);
  RETURN_IF_ERROR(Set("cpu", id, "cpu.cfs_period_us", "100000"));
  return Set("cpu", id, "cpu.cfs_quota_us", quota);
}

InstanceUsage Cgroups::Usage(const std::string& id) const {
  InstanceUsage usage;
  usage.id = id;
  // As kubelet does: file cache that can be given back at once is no usage.
  const std::string stat = ReadKernelFile(Of("memory", id) + "/memory.stat");
  const std::string current = v2_ ? "/memory.current" : "/memory.usage_in_bytes";
  usage.memory_bytes = std::max<int64_t>(0, Number(ReadKernelFile(Of("memory", id) + current)) -
                                                Field(stat, v2_ ? "inactive_file" : "total_inactive_file"));
  if (v2_) {
    usage.cpu_seconds = static_cast<double>(Field(ReadKernelFile(Of("cpu", id) + "/cpu.stat"), "usage_usec")) / 1e6;
  } else {
    usage.cpu_seconds = static_cast<double>(Number(ReadKernelFile(Of("cpuacct", id) + "/cpuacct.usage"))) / 1e9;
  }
  if (const std::string file = OomFile(id); !file.empty()) usage.oom_kills = Field(ReadKernelFile(file), "oom_kill");
  return usage;
}

void Cgroups::KillAll(const std::string& id) const {
  for (const std::string& directory : Directories(id)) {
    if (v2_ && WriteKernelFile(directory + "/cgroup.kill", "1").ok()) continue;
    for (const std::string& line : Split(ReadKernelFile(directory + "/cgroup.procs"), '\n')) {
      const int64_t pid = Number(line);
      if (pid > 1) kill(static_cast<pid_t>(pid), SIGKILL);
    }
  }
}

Status Cgroups::Remove(const std::string& id, Deadline deadline) const {
  if (id.empty()) return InvalidArgument("cgroup: no id");
  for (const std::string& directory : Directories(id)) {
    while (rmdir(directory.c_str()) != 0 && errno != ENOENT) {
      if (errno != EBUSY) return ErrnoStatus(errno, directory);
      if (deadline.Expired()) return DeadlineExceeded(directory + ": processes are still in it");
      KillAll(id);
      poll(nullptr, 0, 2);  // a killed process leaves its cgroup a moment later, and nothing tells when
    }
    // The scope goes with its last instance; it stays when there are others.
    (void)rmdir(directory.substr(0, directory.rfind('/')).c_str());
  }
  return OkStatus();
}

}  // namespace mcpfleet
