#include "edge-runtime/engine/cgroup_usage.h"

#include <dirent.h>
#include <signal.h>

#include <cstdlib>
#include <optional>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kFileBytes = size_t{64} << 10;

std::optional<int64_t> ReadNumber(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path, kFileBytes);
  if (!text.ok() || text->empty() || (*text)[0] < '0' || (*text)[0] > '9') return std::nullopt;
  return std::strtoll(text->c_str(), nullptr, 10);
}

// Takes a line off the front of `text`.
std::string_view NextLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// "<key> <number>" lines.
int64_t ReadKeyed(const std::string& path, std::string_view key) {
  const StatusOr<std::string> text = ReadFile(path, kFileBytes);
  if (!text.ok()) return 0;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view line = NextLine(&rest);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return std::strtoll(line.data() + key.size() + 1, nullptr, 10);  // the text ends with a zero
    }
  }
  return 0;
}

// The path of a controller ("" is v2's) in /proc/<pid>/cgroup: "4:memory:/docker/ab…".
std::string PathOf(std::string_view cgroups, std::string_view controller) {
  while (!cgroups.empty()) {
    const std::string_view line = NextLine(&cgroups);
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view names = line.substr(first + 1, second - first - 1);
    while (true) {
      const size_t comma = names.find(',');
      if (names.substr(0, comma) == controller) return std::string(line.substr(second + 1));
      if (comma == std::string_view::npos) break;
      names.remove_prefix(comma + 1);
    }
  }
  return "";
}

int64_t WithoutCache(int64_t used, int64_t cache) { return cache < used ? used - cache : used; }

}  // namespace

StatusOr<std::string> CgroupsOf(int pid, const KernelPaths& paths) {
  return ReadFile(paths.proc + "/" + std::to_string(pid) + "/cgroup", kFileBytes);
}

StatusOr<InstanceUsage> ReadCgroupUsage(int pid, const KernelPaths& paths) {
  ASSIGN_OR_RETURN(const std::string cgroups, CgroupsOf(pid, paths));
  StatusOr<InstanceUsage> usage = UsageOfCgroups(cgroups, paths);
  return usage.ok() ? usage : Annotate(usage.status(), "process " + std::to_string(pid));
}

StatusOr<InstanceUsage> UsageOfCgroups(std::string_view cgroups, const KernelPaths& paths) {
  InstanceUsage usage;
  const std::string memory = PathOf(cgroups, "memory"), unified = PathOf(cgroups, "");
  // "/../": the process is outside our cgroup namespace. "/" would be the whole machine.
  if (memory.size() > 1 && !memory.starts_with("/..")) {
    const std::string dir = paths.cgroup + "/memory" + memory;
    const std::optional<int64_t> used = ReadNumber(dir + "/memory.usage_in_bytes");
    const std::optional<int64_t> cpu =
        ReadNumber(paths.cgroup + "/cpuacct" + PathOf(cgroups, "cpuacct") + "/cpuacct.usage");
    if (used && cpu) {
      usage.memory_bytes = WithoutCache(*used, ReadKeyed(dir + "/memory.stat", "total_inactive_file"));
      usage.cpu_seconds = static_cast<double>(*cpu) / 1e9;
      usage.oom_kills = ReadKeyed(dir + "/memory.oom_control", "oom_kill");
      return usage;
    }
  }
  if (unified.size() > 1 && !unified.starts_with("/..")) {
    const std::string dir = paths.cgroup + unified;
    if (const std::optional<int64_t> used = ReadNumber(dir + "/memory.current")) {
      usage.memory_bytes = WithoutCache(*used, ReadKeyed(dir + "/memory.stat", "inactive_file"));
      usage.cpu_seconds = static_cast<double>(ReadKeyed(dir + "/cpu.stat", "usage_usec")) / 1e6;
      usage.oom_kills = ReadKeyed(dir + "/memory.events", "oom_kill");
      return usage;
    }
  }
  return NotFound("the cgroup is not there, or not visible here");
}

StatusOr<std::string> ProcessStartTicks(int pid, const KernelPaths& paths) {
  ASSIGN_OR_RETURN(std::string stat, ReadFile(paths.proc + "/" + std::to_string(pid) + "/stat", kFileBytes));
  // "<pid> (<any bytes>) S ppid …": the start time is the 20th field behind the name.
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return NotFound("/proc/<pid>/stat is malformed");
  const std::vector<std::string> fields = Split(stat.substr(name_end + 2), ' ');
  if (fields.size() < 20) return NotFound("/proc/<pid>/stat is malformed");
  return fields[19];
}

int KillLostProcesses(const std::string& container_id, const KernelPaths& paths) {
  constexpr size_t kIdLength = 64;  // less could be part of somebody else's path
  if (container_id.size() != kIdLength) return 0;
  DIR* listing = opendir(paths.proc.c_str());
  if (listing == nullptr) return 0;
  int killed = 0;
  while (const dirent* entry = readdir(listing)) {
    const int64_t pid = std::strtoll(entry->d_name, nullptr, 10);
    if (pid <= 1) continue;
    StatusOr<std::string> cgroups = ReadFile(paths.proc + "/" + entry->d_name + "/cgroup", kFileBytes);
    if (!cgroups.ok() || cgroups->find(container_id) == std::string::npos) continue;
    if (kill(static_cast<pid_t>(pid), SIGKILL) == 0) ++killed;
  }
  closedir(listing);
  return killed;
}

}  // namespace mcpfleet
