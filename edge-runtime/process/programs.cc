#include "edge-runtime/process/programs.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"
#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/process/enforcement.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/launch.h"
#include "edge-runtime/process/sandbox_config.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

constexpr char kFiles[] = "files";
constexpr Duration kKillWait = std::chrono::seconds(10);
constexpr size_t kLogBytes = size_t{64} << 20;

Cgroups DetectCgroups(const ProgramsOptions& options) {
  const StatusOr<std::string> mounts = ReadFile("/proc/self/mountinfo", size_t{4} << 20);
  return Cgroups::Detect(mounts.value_or(""), options.cgroup_parent, Sha256Hex(options.state_directory).substr(0, 12));
}

}  // namespace

Programs::Programs(ProgramsOptions options) : options_(std::move(options)), cgroups_(DetectCgroups(options_)) {}

std::string Programs::Unable() const {
  if (std::string reason = Unavailable(DetectKernel()); !reason.empty()) return reason;
  return access(options_.sandbox_binary.c_str(), X_OK) == 0 ? ""
                                                            : options_.sandbox_binary + ": not there or not executable";
}

std::string Programs::NoOwnNetwork() const { return NoRelay(FindProgram(options_.relay_binary)); }

StatusOr<std::vector<ProgramReport>> Programs::List() {
  std::vector<ProgramReport> reports;
  DIR* listing = opendir(options_.directory.c_str());
  if (listing == nullptr) {
    if (errno == ENOENT) return reports;
    return ErrnoStatus(errno, options_.directory);
  }
  while (const dirent* entry = readdir(listing)) {
    const std::string id = entry->d_name;
    if (!IsInstanceId(id)) continue;
    const StatusOr<InstanceRecord> record = ReadInstance(DirectoryOf(id), id);
    if (!record.ok()) continue;
    const InstanceReport& report = record->report;
    reports.push_back(
        {.id = id, .running = report.state == InstanceState::kRunning, .pid = report.pid, .exit = report.exit});
  }
  closedir(listing);
  return reports;
}

StatusOr<std::string> Programs::ConfigOf(const ProgramSpec& spec) const {
  const std::string uid = std::to_string(kNobody), relay = FindProgram(options_.relay_binary);
  if (spec.own_network) {
    if (const std::string problem = NoRelay(relay); !problem.empty()) return FailedPrecondition(problem);
  }
  SandboxConfig config;
  config.Add({"id", spec.id});
  config.Add({"uid", uid});
  config.Add({"gid", uid});
  config.Add({"network", "outbound"});
  if (spec.own_network) {
    config.Add({"relay", relay});
    for (const std::string& network : spec.unreachable) config.Add({"unreachable", network});
  }
  config.Add({"root", "ro", "1048576"});
  config.Add({"tmp", "16777216"});
  config.Add({"nofile", "65536", "65536"});  // one for each connection
  config.Add({"log", std::to_string(spec.log_bytes), std::to_string(spec.log_files)});
  config.AddSystem(kNobody, spec.own_network ? Resolver::kRelay : Resolver::kHost);
  config.Add({"bind", "r", spec.program, "/program"});
  config.Add({"bind", "r", DirectoryOf(spec.id) + "/" + kFiles, std::string("/") + kFiles});
  for (const ToolBind& bind : spec.binds) config.Add({"bind", bind.writable ? "w" : "r", bind.source, bind.target});
  config.AddCgroups(cgroups_.Directories(spec.id), cgroups_.OomFile(spec.id));
  for (const std::string& entry : spec.environment) config.Add({"env", entry});
  config.Add({"arg", "/program"});
  for (const std::string& word : spec.arguments) config.Add({"arg", word});
  return config.Finish();
}

Status Programs::WriteFiles(const ProgramSpec& spec) const {
  const std::string directory = DirectoryOf(spec.id) + "/" + kFiles;
  RETURN_IF_ERROR(MakeDirectories(directory, 0755));
  for (const auto& [name, content] : spec.files) {
    const std::string path = directory + "/" + name;
    RETURN_IF_ERROR(WriteFileAtomically(path, content, 0400));
    if (lchown(path.c_str(), kNobody, kNobody) != 0) return ErrnoStatus(errno, path);
  }
  return OkStatus();
}

Status Programs::Start(const ProgramSpec& spec, Deadline deadline) {
  if (!IsInstanceId(spec.id)) return InvalidArgument("program id " + Printable(spec.id));
  const std::string directory = DirectoryOf(spec.id);
  if (MonitorPid(directory) != 0) return OkStatus();
  ASSIGN_OR_RETURN(const std::string config, ConfigOf(spec));
  RETURN_IF_ERROR(End(spec.id, deadline));
  RETURN_IF_ERROR(MakeDirectories(options_.directory, 0700));
  RETURN_IF_ERROR(MakeDirectories(directory + "/" + sandbox::kRootDirectory, 0755));
  RETURN_IF_ERROR(WriteFiles(spec));
  RETURN_IF_ERROR(WriteFileAtomically(directory + "/instance.json", "{\"id\":\"" + spec.id + "\"}"));
  RETURN_IF_ERROR(WriteFileAtomically(directory + "/" + sandbox::kConfigFile, config));
  // pid goes last: as long as it is there without exit.json the program counts as ended.
  for (const char* name : {sandbox::kExitFile, sandbox::kPidFile}) {
    if (unlink((directory + "/" + name).c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, name);
  }
  RETURN_IF_ERROR(Annotate(cgroups_.Make(spec.id, spec.limits), "cgroup limits"));
  return LaunchSandbox(options_.sandbox_binary, directory, deadline);
}

void Programs::Terminate(const std::string& id) { SignalPid(OpenInit(DirectoryOf(id)), SIGTERM); }

// Nothing of it lives after OK.
Status Programs::End(const std::string& id, Deadline deadline) {
  const std::string directory = DirectoryOf(id);
  const UniqueFd monitor = OpenPid(MonitorPid(directory));
  const UniqueFd init = OpenInit(directory);
  // Without a first process yet the monitor is still at work on the sandbox and takes it along.
  if (!SignalPid(init, SIGKILL) && monitor.valid()) SignalPid(monitor, SIGKILL);
  for (const UniqueFd* fd : {&monitor, &init}) {
    if (fd->valid() && !PollFd(fd->get(), POLLIN, deadline.AtMost(kKillWait)).ok())
      return DeadlineExceeded("program " + id + ": does not die");
  }
  cgroups_.KillAll(id);
  return OkStatus();
}

Status Programs::Remove(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id) || access(DirectoryOf(id).c_str(), F_OK) != 0) return OkStatus();
  RETURN_IF_ERROR(End(id, deadline));
  RETURN_IF_ERROR(cgroups_.Remove(id, deadline.AtMost(kKillWait)));
  return RemoveTree(DirectoryOf(id));
}

std::string Programs::LastWords(const std::string& id) const {
  const StatusOr<std::string> text = ReadFile(DirectoryOf(id) + "/" + kLogFile, kLogBytes);
  if (!text.ok()) return "";
  const std::string_view all = Trim(*text);
  const std::string_view line = all.substr(all.rfind('\n') == std::string_view::npos ? 0 : all.rfind('\n') + 1);
  const size_t space = line.find(' ');
  return std::string(space == std::string_view::npos ? line : line.substr(space + 1));
}

}  // namespace mcpfleet
