#include "edge-runtime/process/process_runtime.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_reader.h"
#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/process/cgroups.h"
#include "edge-runtime/process/enforcement.h"
#include "edge-runtime/process/event_watch.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/launch.h"
#include "edge-runtime/process/package_cache.h"
#include "edge-runtime/process/package_tool.h"
#include "edge-runtime/process/sandbox_config.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

// After SIGKILL: the kernel needs a moment, more when the machine is short of memory.
constexpr Duration kKillWait = std::chrono::seconds(10);

Cgroups DetectCgroups(const ProcessRuntimeOptions& options) {
  StatusOr<std::string> mounts = ReadFile("/proc/self/mountinfo", size_t{4} << 20);
  return Cgroups::Detect(mounts.ok() ? *mounts : "", options.cgroup_parent,
                         Sha256Hex(options.state_directory).substr(0, 12));
}

Status ListDirectory(const std::string& path, std::vector<std::string>* names) {
  DIR* listing = opendir(path.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, path);
  while (const dirent* entry = readdir(listing)) {
    if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
      names->emplace_back(entry->d_name);
  }
  closedir(listing);
  return OkStatus();
}

class Runtime final : public ProcessRuntime {
 public:
  explicit Runtime(ProcessRuntimeOptions options)
      : options_(std::move(options)),
        instances_(options_.state_directory + "/process/instances"),
        kernel_(DetectKernel()),
        cgroups_(DetectCgroups(options_)),
        packages_({.root = options_.state_directory + "/packages",
                   .sandbox_binary = options_.sandbox_binary,
                   .npm_binary = options_.npm_binary,
                   .python_binary = options_.python_binary,
                   .cgroups = &cgroups_}) {}

  Status Open();
  RuntimeKind kind() const override { return RuntimeKind::kProcess; }
  RuntimeCheck Check(Deadline deadline) override;
  bool Supports(const ServerSpec& spec) const override;
  StatusOr<std::vector<InstanceReport>> List(Deadline deadline) override;
  StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) override;
  std::string WhyNoSecrets(const ServerSpec&) const override { return ""; }
  StatusOr<Artifact> PullAs(const RegistryCredentials&, const ServerSpec& spec,
                            std::function<void(const PullProgress&)> progress, Deadline deadline) override {
    return Pull(spec, std::move(progress), deadline);
  }
  StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                          Deadline deadline) override;
  Status Create(const InstanceSpec& spec, Deadline deadline) override;
  Status Start(const std::string& id, Deadline deadline) override;
  Status Stop(const std::string& id, Duration grace, Deadline deadline) override;
  Status Remove(const std::string& id, Deadline deadline) override;
  Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                     Deadline deadline) override {
    return WatchInstances(instances_, changed, stop, deadline);
  }
  StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) override;
  Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override;
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& id, const TailFrom& from, Deadline deadline) override;
  StatusOr<int64_t> ArtifactBytes(Deadline deadline) override { return packages_.Bytes(deadline); }
  Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) override {
    return packages_.Collect(keep, quota_bytes, deadline);
  }

 private:
  std::string DirectoryOf(const std::string& id) const { return instances_ + "/" + id; }
  Status CheckEnforcement(const ServerSpec& spec, const std::string& relay, std::string* unenforced) const;
  Status EndMonitor(const std::string& id, Duration grace, Deadline deadline);
  Status PutAway(const std::string& id, Deadline deadline);

  const ProcessRuntimeOptions options_;
  const std::string instances_;
  const KernelFeatures kernel_;
  const Cgroups cgroups_;
  PackageCache packages_;  // own synchronisation
};

Status Runtime::Open() {
  RETURN_IF_ERROR(MakeDirectories(options_.state_directory + "/process", 0755));
  RETURN_IF_ERROR(MakeDirectories(instances_, 0700));
  RETURN_IF_ERROR(packages_.Open());
  std::vector<std::string> names;
  RETURN_IF_ERROR(ListDirectory(instances_, &names));
  for (const std::string& name : names) {
    if (name.starts_with(".")) RETURN_IF_ERROR(RemoveTree(instances_ + "/" + name));  // half created, or half removed
  }
  return OkStatus();
}

RuntimeCheck Runtime::Check(Deadline) {
  RuntimeCheck check;
  check.version = "process/1";
  check.reason = Unavailable(kernel_);
  for (const std::string& binary : {options_.sandbox_binary, options_.shim_binary}) {
    if (check.reason.empty() && access(binary.c_str(), X_OK) != 0)
      check.reason = binary + ": not there or not executable";
  }
  check.available = check.reason.empty();
  check.unenforced = NodeUnenforced(kernel_, cgroups_.Missing());
  return check;
}

bool Runtime::Supports(const ServerSpec& spec) const {
  return std::holds_alternative<PackageSource>(spec.source) || std::holds_alternative<ProcessSource>(spec.source);
}

StatusOr<std::vector<InstanceReport>> Runtime::List(Deadline deadline) {
  if (deadline.Expired()) return DeadlineExceeded("list instances");
  std::vector<std::string> names;
  RETURN_IF_ERROR(ListDirectory(instances_, &names));
  std::vector<InstanceReport> reports;
  for (const std::string& name : names) {
    if (!IsInstanceId(name)) continue;
    StatusOr<InstanceRecord> record = ReadInstance(DirectoryOf(name), name);
    if (record.ok()) reports.push_back(std::move(record->report));  // else removed meanwhile
  }
  return reports;
}

StatusOr<std::optional<InstanceReport>> Runtime::Look(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id \"" + Printable(id) + "\" is malformed");
  if (deadline.Expired()) return DeadlineExceeded("look at instance " + id);
  StatusOr<InstanceRecord> record = ReadInstance(DirectoryOf(id), id);
  if (!record.ok()) return std::optional<InstanceReport>();
  return std::optional<InstanceReport>(std::move(record->report));
}

StatusOr<Artifact> Runtime::Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                 Deadline deadline) {
  if (const auto* package = std::get_if<PackageSource>(&spec.source))
    return packages_.Pull(*package, progress, deadline);
  const auto* process = std::get_if<ProcessSource>(&spec.source);
  if (process == nullptr) return InvalidArgument("spec.source: the process runtime runs packages and processes only");
  if (!process->path.starts_with("/")) return InvalidArgument("spec.source.process.path: must be absolute");
  StatusOr<std::string> hash = Sha256HexOfFile(process->path);
  if (!hash.ok()) return Annotate(hash.status(), "spec.source.process.path");
  if (!process->sha256.empty() && !EqualsIgnoreCase(process->sha256, *hash)) {
    return FailedPrecondition("spec.source.process.sha256: " + process->path + " has " + *hash);
  }
  return Artifact{.digest = "sha256:" + *hash, .entrypoint = {process->path}};
}

Status Runtime::CheckEnforcement(const ServerSpec& spec, const std::string& relay, std::string* unenforced) const {
  if (std::string reason = Unavailable(kernel_); !reason.empty()) return FailedPrecondition(reason);
  KernelFeatures kernel = kernel_;
  kernel.no_relay = NoRelay(relay);
  *unenforced = Join(Unenforced(kernel, cgroups_.Missing(), spec), "; ");
  if (spec.security.enforcement == Enforcement::kRequired && !unenforced->empty()) {
    return FailedPrecondition("securityContext.enforcement is Required, but this node can't enforce: " + *unenforced);
  }
  return OkStatus();
}

Status Runtime::Create(const InstanceSpec& spec, Deadline deadline) {
  if (!IsInstanceId(spec.id))
    return InvalidArgument("instance id " + Printable(spec.id) + ": allowed are a-z, 0-9 and -, at most 40");
  if (deadline.Expired()) return DeadlineExceeded("create instance " + spec.id);
  if (access(DirectoryOf(spec.id).c_str(), F_OK) == 0) return OkStatus();
  std::string unenforced;
  const std::string relay = FindProgram(options_.relay_binary);  // looked for each time: it may be installed by now
  RETURN_IF_ERROR(CheckEnforcement(spec.spec, relay, &unenforced));
  if (ServerArgv(spec).empty()) return InvalidArgument("spec.command: nothing to run");
  SandboxPlace place{.shim_binary = options_.shim_binary,
                     .relay_binary = NoRelay(relay).empty() ? relay : "",
                     .shim_arguments = options_.shim_arguments,
                     .cgroups = cgroups_.Directories(spec.id),
                     .oom_file = cgroups_.OomFile(spec.id)};
  if (const auto* package = std::get_if<PackageSource>(&spec.spec.source))
    place.runtime_directory = packages_.RuntimeDirectory(*package);
  ASSIGN_OR_RETURN(const std::string config, BuildSandboxConfig(spec, place));
  const std::string temporary = instances_ + "/.new-" + spec.id + "-" + RandomHex(4);
  RETURN_IF_ERROR(MakeDirectories(temporary + "/" + sandbox::kRootDirectory, 0755));
  const std::string labels = InstanceJson(spec, options_.node_name, unenforced, options_.clock->Wall());
  Status status = WriteFileAtomically(temporary + "/instance.json", labels);
  if (status.ok()) status = WriteFileAtomically(temporary + "/" + sandbox::kConfigFile, config);
  if (status.ok() && rename(temporary.c_str(), DirectoryOf(spec.id).c_str()) != 0)
    status = ErrnoStatus(errno, "instance " + spec.id);
  if (!status.ok()) (void)RemoveTree(temporary);
  return status;
}

// The last incarnation's traces, when there was one, become "previous".
Status Runtime::PutAway(const std::string& id, Deadline deadline) {
  const std::string directory = DirectoryOf(id) + "/";
  const bool ran = access((directory + sandbox::kPidFile).c_str(), F_OK) == 0 ||
                   access((directory + sandbox::kExitFile).c_str(), F_OK) == 0;
  if (!ran) return OkStatus();
  // A monitor that has just written exit.json, or PID 1 of one that was killed.
  RETURN_IF_ERROR(EndMonitor(id, std::chrono::seconds(1), deadline));
  std::vector<std::string> names;
  RETURN_IF_ERROR(ListDirectory(directory, &names));
  const std::string log = kLogFile;
  for (const std::string& name : names) {
    if (name.starts_with("previous." + log)) unlink((directory + name).c_str());
  }
  for (const std::string& name : names) {
    if (name != log && !name.starts_with(log + ".")) continue;
    if (rename((directory + name).c_str(), (directory + "previous." + name).c_str()) != 0)
      return ErrnoStatus(errno, name);
  }
  // pid goes last: as long as it is there without exit.json the instance counts as ended.
  for (const char* name : {sandbox::kExitFile, sandbox::kPidFile}) {
    if (unlink((directory + name).c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, name);
  }
  return OkStatus();
}

Status Runtime::Start(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id " + Printable(id));
  ASSIGN_OR_RETURN(const InstanceRecord record, ReadInstance(DirectoryOf(id), id));
  if (record.report.state == InstanceState::kRunning) return OkStatus();
  if (record.required && !record.report.unenforced.empty())
    return FailedPrecondition("this node can't enforce: " + record.report.unenforced);
  RETURN_IF_ERROR(PutAway(id, deadline));
  if (Status status = cgroups_.Make(id, record.limits); !status.ok()) return Annotate(status, "cgroup limits");
  return LaunchSandbox(options_.sandbox_binary, DirectoryOf(id), deadline);
}

// Ends PID 1 and waits for its monitor, which writes exit.json. Nothing of the instance lives after OK.
Status Runtime::EndMonitor(const std::string& id, Duration grace, Deadline deadline) {
  const std::string directory = DirectoryOf(id);
  const UniqueFd monitor = OpenPid(MonitorPid(directory));
  const bool alive = monitor.valid() && MonitorPid(directory) != 0;
  const UniqueFd init = OpenInit(directory);
  bool ended = !alive;
  if (alive) {
    if (grace > Duration::zero() && SignalPid(init, SIGTERM))
      ended = PollFd(monitor.get(), POLLIN, deadline.AtMost(grace)).ok();
    // Without a first process yet: the monitor is still at work on the sandbox and takes it along.
    if (!ended && !SignalPid(init, SIGKILL) && !init.valid()) SignalPid(monitor, SIGKILL);
  } else {
    SignalPid(init, SIGKILL);
  }
  if (!ended) {
    cgroups_.KillAll(id);
    if (!PollFd(monitor.get(), POLLIN, Deadline::After(kKillWait)).ok())
      return DeadlineExceeded("instance " + id + ": does not die");
  }
  if (init.valid() && !PollFd(init.get(), POLLIN, Deadline::After(kKillWait)).ok()) {
    return DeadlineExceeded("instance " + id + ": its first process does not die");
  }
  cgroups_.KillAll(id);
  return OkStatus();
}

Status Runtime::Stop(const std::string& id, Duration grace, Deadline deadline) {
  if (!IsInstanceId(id) || access(DirectoryOf(id).c_str(), F_OK) != 0) return OkStatus();
  return EndMonitor(id, grace, deadline);
}

Status Runtime::Remove(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id) || access(DirectoryOf(id).c_str(), F_OK) != 0) return OkStatus();
  RETURN_IF_ERROR(EndMonitor(id, Duration::zero(), deadline));
  RETURN_IF_ERROR(cgroups_.Remove(id, deadline.AtMost(kKillWait)));
  // Out of List's sight in one step.
  const std::string dead = instances_ + "/.dead-" + id + "-" + RandomHex(4);
  if (rename(DirectoryOf(id).c_str(), dead.c_str()) != 0)
    return errno == ENOENT ? OkStatus() : ErrnoStatus(errno, "instance " + id);
  return RemoveTree(dead);
}

StatusOr<std::vector<InstanceUsage>> Runtime::Usage(Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<InstanceReport> reports, List(deadline));
  std::vector<InstanceUsage> usage;
  for (const InstanceReport& report : reports) {
    if (report.state == InstanceState::kRunning) usage.push_back(cgroups_.Usage(report.id));
  }
  return usage;
}

Status Runtime::Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
                     Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id " + Printable(id));
  const std::string directory = DirectoryOf(id);
  if (access(directory.c_str(), F_OK) != 0) return NotFound("instance " + id);
  return ReadLogs(
      directory, options, sink, [&directory] { return MonitorPid(directory) == 0; }, deadline);
}

StatusOr<std::unique_ptr<LogTail>> Runtime::OpenTail(const std::string& id, const TailFrom& from, Deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id " + Printable(id));
  const std::string directory = DirectoryOf(id);
  if (access(directory.c_str(), F_OK) != 0) return NotFound("instance " + id);
  return std::make_unique<FileTail>(directory, from);
}

}  // namespace

StatusOr<std::unique_ptr<ProcessRuntime>> ProcessRuntime::Create(ProcessRuntimeOptions options) {
  if (!options.state_directory.starts_with("/")) return InvalidArgument("state directory: must be absolute");
  if (options.clock == nullptr) return Internal("process runtime: no clock");
  auto runtime = std::make_unique<Runtime>(std::move(options));
  RETURN_IF_ERROR(runtime->Open());
  return std::unique_ptr<ProcessRuntime>(std::move(runtime));
}

}  // namespace mcpfleet
