#include "edge-runtime/process/instance_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

constexpr size_t kSmallFile = 64 << 10;

struct Pids {
  int monitor = 0, init = 0;
  uint64_t start_time = 0;
};

bool ReadPids(const std::string& directory, Pids* out) {
  StatusOr<std::string> text = ReadFile(directory + "/" + sandbox::kPidFile, kSmallFile);
  unsigned long long start = 0;
  if (!text.ok() || std::sscanf(text->c_str(), "%d %d %llu", &out->monitor, &out->init, &start) != 3) return false;
  out->start_time = start;
  return out->monitor > 1 && out->init > 1;
}

// Field 22 of /proc/<pid>/stat; 0 when there is no such process.
uint64_t StartTime(int pid) {
  StatusOr<std::string> text = ReadFile("/proc/" + std::to_string(pid) + "/stat", kSmallFile);
  if (!text.ok()) return 0;
  const size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  const std::vector<std::string> fields = Split(std::string_view(*text).substr(end + 1), ' ');
  return fields.size() > 20 ? std::strtoull(fields[20].c_str(), nullptr, 10) : 0;
}

WallTime FromMillis(int64_t millis) { return WallTime(std::chrono::milliseconds(millis)); }

WallTime ModifiedAt(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return {};
  return WallTime(std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec));
}

void FillLabels(const Json& json, InstanceRecord* record) {
  InstanceReport& report = record->report;
  report.server = {GetString(json, "namespace"), GetString(json, "name")};
  report.uid = GetString(json, "uid");
  report.generation = GetInt(json, "generation");
  report.revision = GetString(json, "revision");
  report.artifact_digest = GetString(json, "artifactDigest");
  report.unenforced = GetString(json, "unenforced");
  report.created_at = FromMillis(GetInt(json, "createdAtMillis"));
  record->limits = {.cpu_milli = GetInt(json, "cpuMilli", 1000),
                    .memory_bytes = GetInt(json, "memoryBytes", 256 << 20),
                    .pids = GetInt(json, "pids", 128)};
  record->required = GetBool(json, "required", true);
}

void FillExit(const std::string& directory, InstanceReport* report) {
  report->state = InstanceState::kExited;
  ExitInfo exit{.code = 137,
                .signal = SIGKILL,
                .oom = false};  // without exit.json: it died with its monitor, or with the machine
  const std::string path = directory + "/" + sandbox::kExitFile;
  StatusOr<std::string> text = ReadFile(path, kSmallFile);
  if (text.ok()) {
    if (StatusOr<Json> json = ParseJson(*text); json.ok()) {
      exit = {.code = static_cast<int>(GetInt(*json, "code")),
              .signal = static_cast<int>(GetInt(*json, "signal")),
              .oom = GetBool(*json, "oom")};
      report->finished_at = FromMillis(GetInt(*json, "finishedAtMillis"));
    }
  }
  report->exit = exit;
}

}  // namespace

std::string InstanceJson(const InstanceSpec& spec, const std::string& node, const std::string& unenforced,
                         WallTime now) {
  return DumpJson(Json{{"id", spec.id},
                       {"node", node},
                       {"namespace", spec.server.namespace_},
                       {"name", spec.server.name},
                       {"uid", spec.uid},
                       {"generation", spec.generation},
                       {"revision", spec.revision},
                       {"artifactDigest", spec.artifact.digest},
                       {"unenforced", unenforced},
                       {"createdAtMillis", ToMillis(now)},
                       {"cpuMilli", spec.spec.resources.cpu_milli},
                       {"memoryBytes", spec.spec.resources.memory_bytes},
                       {"pids", spec.spec.resources.pids},
                       {"required", spec.spec.security.enforcement == Enforcement::kRequired}});
}

StatusOr<InstanceRecord> ReadInstance(const std::string& directory, const std::string& id) {
  struct stat st;
  if (lstat(directory.c_str(), &st) != 0) return ErrnoStatus(errno, "instance " + id);
  InstanceRecord record;
  record.report.id = id;
  record.report.runtime = RuntimeKind::kProcess;
  // The lock first: a monitor that ends between the two looks has written exit.json by then.
  record.monitor_pid = MonitorPid(directory);
  bool known = false;
  if (StatusOr<std::string> text = ReadFile(directory + "/instance.json", kSmallFile); text.ok()) {
    if (StatusOr<Json> json = ParseJson(*text); json.ok() && json->is_object()) {
      FillLabels(*json, &record);
      known = true;
    }
  }
  const std::string pid_file = directory + "/" + sandbox::kPidFile;
  Pids pids;
  const bool has_pids = ReadPids(directory, &pids);
  const bool has_exit = access((directory + "/" + sandbox::kExitFile).c_str(), F_OK) == 0;
  if (has_pids) record.report.started_at = ModifiedAt(pid_file);
  if (has_exit || !known || (has_pids && record.monitor_pid == 0)) {
    FillExit(directory, &record.report);
  } else if (has_pids && pids.monitor == record.monitor_pid) {
    record.report.state = InstanceState::kRunning;
    record.report.pid = pids.init;
  }
  return record;
}

int MonitorPid(const std::string& directory) {
  UniqueFd fd(open((directory + "/" + sandbox::kLockFile).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return 0;
  struct flock lock;
  std::memset(&lock, 0, sizeof lock);
  lock.l_type = F_WRLCK;
  if (fcntl(fd.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

UniqueFd OpenPid(int pid) { return UniqueFd(pid > 1 ? static_cast<int>(syscall(SYS_pidfd_open, pid, 0)) : -1); }

UniqueFd OpenInit(const std::string& directory) {
  Pids pids;
  if (!ReadPids(directory, &pids)) return UniqueFd();
  UniqueFd fd = OpenPid(pids.init);
  // The descriptor first, the check after it: what it names can't change any more.
  if (StartTime(pids.init) != pids.start_time) return UniqueFd();
  return fd;
}

bool SignalPid(const UniqueFd& pidfd, int signal) {
  return pidfd.valid() && syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace mcpfleet
