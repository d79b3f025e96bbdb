#include "edge-runtime/process/package_tool.h"

#include <fcntl.h>
#include <fts.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/launch.h"
#include "edge-runtime/process/sandbox_config.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

constexpr size_t kOutputBytes = size_t{1} << 20;
constexpr Resources kToolLimits{.cpu_milli = 4000, .memory_bytes = int64_t{2} << 30, .pids = 512};

StatusOr<std::string> ToolConfig(const ToolDirectory& directory, const std::string& id, const ToolRun& run,
                                 const Cgroups& cgroups) {
  const std::string uid = std::to_string(kNobody);
  SandboxConfig config;
  config.Add({"id", id});
  // Nobody waits for its end any more when mcplet is gone, by whatever signal.
  config.Add({"owner", std::to_string(getpid())});
  config.Add({"uid", uid});
  config.Add({"gid", uid});
  config.Add({"network", "outbound"});
  config.Add({"root", "ro", "1048576"});
  config.Add({"tmp", "268435456"});
  config.Add({"nofile", "4096", "65536"});
  config.Add({"log", std::to_string(kOutputBytes / 2), "1"});
  config.AddSystem(kNobody, Resolver::kHost);
  config.Add({"bind", "w", directory.work(), "/job"});
  for (const ToolBind& bind : run.binds) config.Add({"bind", bind.writable ? "w" : "ro", bind.source, bind.target});
  config.AddCgroups(cgroups.Directories(id), cgroups.OomFile(id));
  for (const char* entry : {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/job/home", "TMPDIR=/tmp", "LANG=C.UTF-8"})
    config.Add({"env", entry});
  for (const std::string& entry : run.env) config.Add({"env", entry});
  for (const std::string& word : run.argv) config.Add({"arg", word});
  return config.Finish();
}

std::string Output(const std::string& directory) {
  std::string out;
  StatusOr<std::string> text = ReadFile(directory + "/" + kLogFile, kOutputBytes);
  if (!text.ok()) return out;
  for (const std::string& line : Split(*text, '\n')) {
    if (const size_t space = line.find(' '); space != std::string::npos) out += line.substr(space + 1) + "\n";
  }
  return out;
}

}  // namespace

std::string ToolIdOf(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with(kToolPrefix) ? "install-" + std::string(name.substr(kToolPrefix.size())) : "";
}

StatusOr<ToolDirectory> ToolDirectory::Make(const std::string& root) {
  ToolDirectory directory(root + "/" + std::string(kToolPrefix) + RandomHex(8));
  RETURN_IF_ERROR(MakeDirectories(directory.work() + "/home", 0755));
  RETURN_IF_ERROR(MakeDirectories(directory.path() + "/" + sandbox::kRootDirectory, 0755));
  for (const std::string& path : {directory.work(), directory.work() + "/home"}) {
    if (chmod(path.c_str(), 0700) != 0 || lchown(path.c_str(), kNobody, kNobody) != 0) return ErrnoStatus(errno, path);
  }
  return directory;
}

ToolDirectory::~ToolDirectory() {
  if (!path_.empty()) (void)RemoveTree(path_);
}

Status ToolDirectory::WriteFile(const std::string& name, std::string_view content) const {
  const std::string path = work() + "/" + name;
  RETURN_IF_ERROR(WriteFileAtomically(path, content, 0600));
  return lchown(path.c_str(), kNobody, kNobody) == 0 ? OkStatus() : ErrnoStatus(errno, path);
}

Status AwaitToolEnd(const std::string& directory, Deadline deadline) {
  const UniqueFd monitor = OpenPid(MonitorPid(directory));
  if (!monitor.valid() || MonitorPid(directory) == 0) return OkStatus();
  if (Status status = PollFd(monitor.get(), POLLIN, deadline); !status.ok()) {
    SignalPid(OpenInit(directory), SIGKILL);
    (void)PollFd(monitor.get(), POLLIN, Deadline::After(std::chrono::seconds(5)));
    return status;
  }
  return OkStatus();
}

StatusOr<ToolResult> RunTool(const ToolDirectory& directory, const ToolRun& run, const std::string& sandbox_binary,
                             const Cgroups& cgroups, Deadline deadline) {
  const std::string id = ToolIdOf(directory.path());
  ASSIGN_OR_RETURN(const std::string config, ToolConfig(directory, id, run, cgroups));
  RETURN_IF_ERROR(WriteFileAtomically(directory.path() + "/" + sandbox::kConfigFile, config));
  for (const char* name : {sandbox::kExitFile, sandbox::kPidFile, kLogFile})
    unlink((directory.path() + "/" + name).c_str());
  RETURN_IF_ERROR(cgroups.Make(id, kToolLimits));
  Status status = LaunchSandbox(sandbox_binary, directory.path(), deadline);
  if (Status waited = AwaitToolEnd(directory.path(), deadline); status.ok()) status = waited;
  (void)cgroups.Remove(id, Deadline::After(std::chrono::seconds(5)));
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(const InstanceRecord record, ReadInstance(directory.path(), id));
  ToolResult result;
  result.output = Output(directory.path());
  result.code = record.report.exit ? record.report.exit->code : 1;
  result.oom = record.report.exit && record.report.exit->oom;
  return result;
}

std::string FindProgram(const std::string& name) {
  const auto real = [](const std::string& path) -> std::string {
    char resolved[PATH_MAX];
    return access(path.c_str(), X_OK) == 0 && realpath(path.c_str(), resolved) != nullptr ? resolved : "";
  };
  if (name.find('/') != std::string::npos) return real(name);
  const char* path = getenv("PATH");
  for (const std::string& directory : Split(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path, ':')) {
    if (!directory.starts_with("/")) continue;
    if (std::string found = real(directory + "/" + name); !found.empty()) return found;
  }
  return "";
}

StatusOr<std::string> FindPython(const std::string& name) {
  for (const std::string& candidate : {name, "/usr/bin/" + name, "/usr/local/bin/" + name}) {
    if (candidate.starts_with("/usr/") && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return FailedPrecondition(
      name +
      " is not installed below /usr on this node: it is needed for pypi packages (Debian: python3 and python3-pip)");
}

std::vector<std::string> ForwardedEnvironment(const std::vector<std::string>& prefixes) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string lower = ToLower(*entry);
    for (const std::string& prefix : prefixes) {
      if (!lower.starts_with(prefix)) continue;
      out.emplace_back(*entry);
      break;
    }
  }
  return out;
}

Status SealTree(const std::string& path) {
  char* roots[] = {const_cast<char*>(path.c_str()), nullptr};
  FTS* walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (walk == nullptr) return ErrnoStatus(errno, path);
  Status status = OkStatus();
  while (FTSENT* entry = fts_read(walk)) {
    if (entry->fts_info == FTS_DP) continue;
    const bool link = S_ISLNK(entry->fts_statp->st_mode), directory = S_ISDIR(entry->fts_statp->st_mode);
    const bool executable = directory || (entry->fts_statp->st_mode & 0111) != 0;
    if (lchown(entry->fts_path, 0, 0) != 0 || (!link && chmod(entry->fts_path, executable ? 0755 : 0644) != 0)) {
      status = ErrnoStatus(errno, entry->fts_path);
      break;
    }
  }
  fts_close(walk);
  return status;
}

int64_t TreeBytes(const std::string& path) {
  char* roots[] = {const_cast<char*>(path.c_str()), nullptr};
  FTS* walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  int64_t bytes = 0;
  while (FTSENT* entry = walk == nullptr ? nullptr : fts_read(walk)) {
    if (entry->fts_info != FTS_DP) bytes += entry->fts_statp->st_blocks * 512;
  }
  if (walk != nullptr) fts_close(walk);
  return bytes;
}

}  // namespace mcpfleet
