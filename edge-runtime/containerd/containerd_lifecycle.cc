// Create, start, stop, remove: one instance's way through containerd.
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/containerd/containerd_runtime.h"
#include "edge-runtime/containerd/leases.h"
#include "edge-runtime/containerd/oci_spec.h"
#include "edge-runtime/containerd/shims.h"
#include "edge-runtime/containerd/under_way.h"
#include "edge-runtime/engine/enforceable.h"
#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// A lease holds what a create makes until its container refers to it; longer than any create may take.
constexpr Duration kLeaseLife = std::chrono::hours(1);
// To clear away after a failure, whatever is left of the caller's deadline.
constexpr Duration kClearWait = seconds(20);
// After SIGKILL: the kernel needs a moment, more when the machine is short of memory.
constexpr Duration kKillWait = seconds(10);
constexpr size_t kFileBytes = size_t{1} << 20;
constexpr char kPrevious[] = "previous.";

std::string SnapshotOf(const std::string& id) { return "mcpfleet-" + id; }

std::string ReadText(const char* path) { return ReadFile(path, kFileBytes).value_or(""); }

}  // namespace

std::map<std::string, std::string> ContainerdRuntime::OwnLabels(const std::string& id) const {
  return {{containerd::kLabelNode, options_.node_name}, {containerd::kLabelInstance, id}};
}

// --- create ---

Status ContainerdRuntime::MakeContainer(const InstanceSpec& spec, const std::string& lease, Deadline deadline) {
  StatusOr<containerd::UsableImage> image = images_.FindHeld(spec.artifact.digest, deadline);
  if (!image.ok()) return Annotate(image.status(), "create instance " + spec.id);
  RETURN_IF_ERROR(images_.Unpack(*image, lease, nullptr, deadline));
  ASSIGN_OR_RETURN(const Json oci, containerd::OciSpec(spec, image->config,
                                                       {.shim_binary = options_.shim_binary,
                                                        .cgroup_path = CgroupOf(spec.id),
                                                        .cgroup_v2 = cgroups_.v2,
                                                        .swap_limit = cgroups_.swap_limit,
                                                        .files_directory = DirectoryOf(spec.id)}));
  // Of a container of this name that was removed by hand.
  RETURN_IF_ERROR(network_.Disconnect(spec.id, DirectoryOf(spec.id), deadline));
  RETURN_IF_ERROR(RemoveTree(DirectoryOf(spec.id)));
  const std::string key = SnapshotOf(spec.id);
  const Status prepared = snapshots_.Prepare(key, image->Chain(), OwnLabels(spec.id), lease, deadline).status();
  // Of a create that stopped here, with the same image or another: made anew.
  if (prepared.code() == StatusCode::kAlreadyExists) {
    RETURN_IF_ERROR(snapshots_.Remove(key, deadline));
    RETURN_IF_ERROR(snapshots_.Prepare(key, image->Chain(), OwnLabels(spec.id), lease, deadline).status());
  } else {
    RETURN_IF_ERROR(prepared);
  }
  return containerd::CreateContainer(connection_,
                                     {.id = spec.id,
                                      .labels = containerd::LabelsOf(spec, {.node = options_.node_name,
                                                                            .unenforced = Join(Unenforced(), ", "),
                                                                            .shim = !options_.shim_binary.empty()}),
                                      .image = image->name,
                                      .runtime = options_.runtime,
                                      .spec = DumpJson(oci),
                                      .snapshotter = options_.snapshotter,
                                      .snapshot_key = key},
                                     lease, deadline);
}

Status ContainerdRuntime::Create(const InstanceSpec& spec, Deadline deadline) {
  if (!IsInstanceId(spec.id)) return InvalidArgument("instance id \"" + Printable(spec.id) + "\" is malformed");
  if (!Supports(spec.spec)) return InvalidArgument("spec.source: the containerd runtime runs images only");
  if (spec.spec.security.enforcement == Enforcement::kRequired) RETURN_IF_ERROR(CheckEnforceable(Unenforced()));
  if (spec.spec.security.network == NetworkMode::kOutbound) {
    if (const std::string why = network_.WhyNot(); !why.empty()) return FailedPrecondition(why);
  }
  const UnderWay under_way(this, spec.id);
  const StatusOr<containerd::Container> existing = containerd::GetContainer(connection_, spec.id, deadline);
  if (existing.ok()) {
    if (containerd::OwnContainerOf(*existing, options_.node_name)) return OkStatus();
    return AlreadyExists("create instance " + spec.id + ": the name is taken by a container of somebody else");
  }
  if (existing.status().code() != StatusCode::kNotFound) return existing.status();
  const std::string lease = LeaseOf(spec.id);
  RETURN_IF_ERROR(containerd::CreateLease(connection_, {lease, OwnLabels(spec.id)}, kLeaseLife, deadline));
  Status made = MakeContainer(spec, lease, deadline);
  const Deadline clearing = Deadline::After(kClearWait);
  if (!made.ok()) {
    // When the answer was lost the container may be there; then its snapshot must stay.
    const Status there = containerd::GetContainer(connection_, spec.id, clearing).status();
    if (there.code() == StatusCode::kNotFound) {
      snapshots_.Remove(SnapshotOf(spec.id), clearing).IgnoreError();
      RemoveTree(DirectoryOf(spec.id)).IgnoreError();
    }
  }
  containerd::DeleteLease(connection_, lease, clearing).IgnoreError();  // it ends by itself otherwise
  return made;
}

// --- start ---

Status ContainerdRuntime::WriteFiles(const std::string& id, NetworkMode network) const {
  const std::string directory = DirectoryOf(id);
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  RETURN_IF_ERROR(ReplaceFile(directory + "/hosts", containerd::EtcHosts(id), 0644));
  if (network == NetworkMode::kNone) return OkStatus();
  return ReplaceFile(
      directory + "/resolv.conf",
      containerd::ResolvConf(ReadText("/etc/resolv.conf"), ReadText("/run/systemd/resolve/resolv.conf"), network),
      0644);
}

std::string ContainerdRuntime::LogAddress(const containerd::OwnContainer& container) const {
  // Without the shim stdout is the MCP protocol, and no log.
  return "binary://" + options_.log_binary + "?directory=" + PercentEncode(DirectoryOf(container.report.id)) +
         "&bytes=" + std::to_string(container.log_bytes) + "&files=" + std::to_string(container.log_files) +
         "&stdout=" + (container.report.shim ? "1" : "0");
}

Status ContainerdRuntime::PutAwayLogs(const std::string& id) const {
  const std::string directory = DirectoryOf(id) + "/";
  std::vector<std::string> names;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, directory);
  while (const dirent* entry = readdir(listing)) names.emplace_back(entry->d_name);
  closedir(listing);
  const std::string log = kLogFile;
  for (const std::string& name : names) {
    if (name.starts_with(kPrevious + log)) unlink((directory + name).c_str());
  }
  for (const std::string& name : names) {
    if (name != log && !name.starts_with(log + ".")) continue;
    if (rename((directory + name).c_str(), (directory + kPrevious + name).c_str()) != 0)
      return ErrnoStatus(errno, directory + name);
  }
  return OkStatus();
}

StatusOr<int> ContainerdRuntime::MakeTask(const containerd::OwnContainer& container,
                                          const std::vector<containerd::Mount>& root, Deadline deadline) {
  const std::string& id = container.report.id;
  const Deadline patience = deadline.AtMost(kKillWait);
  while (true) {
    StatusOr<int> pid = containerd::CreateTask(connection_, id, root, LogAddress(container), deadline);
    if (pid.status().code() != StatusCode::kAlreadyExists || patience.Expired()) return pid;
    poll(nullptr, 0, 20);
    RETURN_IF_ERROR(EndTask(id, deadline));
  }
}

Status ContainerdRuntime::StartNew(const containerd::OwnContainer& container, Deadline deadline) {
  const std::string& id = container.report.id;
  ASSIGN_OR_RETURN(const std::vector<containerd::Mount> root, snapshots_.Mounts(container.snapshot_key, deadline));
  ASSIGN_OR_RETURN(const int pid, MakeTask(container, root, deadline));
  if (container.network == NetworkMode::kOutbound)
    RETURN_IF_ERROR(network_.Connect(id, pid, DirectoryOf(id), deadline));
  // Before it runs: an instance without this label has never run.
  const std::string now = std::to_string(clock_.Wall().time_since_epoch().count());
  RETURN_IF_ERROR(containerd::LabelContainer(connection_, id, containerd::kLabelStarted, now, deadline));
  return containerd::StartTask(connection_, id, deadline);
}

Status ContainerdRuntime::Start(const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(const containerd::OwnContainer container, Find(id, deadline));
  const UnderWay under_way(this, id);
  // One that never ran has no task but what a crash left, which MakeTask ends.
  if (container.started) {
    ASSIGN_OR_RETURN(const std::optional<containerd::Task> task, containerd::GetTask(connection_, id, deadline));
    using containerd::TaskState;
    if (task && (task->state == TaskState::kRunning || task->state == TaskState::kPaused)) return OkStatus();
    RETURN_IF_ERROR(EndSeen(id, task, deadline));
  }
  RETURN_IF_ERROR(WriteFiles(id, container.network));
  if (container.started) RETURN_IF_ERROR(PutAwayLogs(id));
  {
    MutexLock lock(&mu_);
    oom_.erase(id);
  }
  Status started = StartNew(container, deadline);
  if (started.ok()) return started;
  EndTask(id, Deadline::After(kClearWait)).IgnoreError();
  // Its snapshot was taken away by hand: it can never start again. Without it the next look makes a new one.
  const StatusOr<bool> snapshot = snapshots_.Exists(container.snapshot_key, Deadline::After(kClearWait));
  if (snapshot.ok() && !*snapshot) {
    RETURN_IF_ERROR(Annotate(Remove(id, Deadline::After(kClearWait)), Message(started)));
    return FailedPrecondition("start instance " + id + ": its snapshot is gone; it was removed: " + Message(started));
  }
  return Annotate(started, "start instance " + id);
}

// --- stop ---

Status ContainerdRuntime::Stop(const std::string& id, Duration grace, Deadline deadline) {
  const StatusOr<containerd::OwnContainer> container = Find(id, deadline);
  if (container.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(container.status());
  ASSIGN_OR_RETURN(const std::optional<containerd::Task> task, containerd::GetTask(connection_, id, deadline));
  using containerd::TaskState;
  if (!task || (task->state != TaskState::kRunning && task->state != TaskState::kPaused)) return OkStatus();
  const auto signal_all = [&](int signal, bool all) {
    const Status status = containerd::KillTask(connection_, id, signal, all, deadline);
    return status.code() == StatusCode::kNotFound ? OkStatus() : status;
  };
  if (grace > Duration::zero()) {
    RETURN_IF_ERROR(signal_all(SIGTERM, false));
    // A frozen process takes no signal.
    if (task->state == TaskState::kPaused) containerd::ResumeTask(connection_, id, deadline).IgnoreError();
    Status ended = containerd::AwaitTask(connection_, id, deadline.AtMost(grace));
    if (ended.code() != StatusCode::kDeadlineExceeded) return ended;
    if (deadline.Expired()) return DeadlineExceeded("stop instance " + id);
  }
  RETURN_IF_ERROR(signal_all(SIGKILL, true));
  if (task->state == TaskState::kPaused) containerd::ResumeTask(connection_, id, deadline).IgnoreError();
  return containerd::AwaitTask(connection_, id, deadline);
}

// --- the end ---

Status ContainerdRuntime::EndProcesses(const std::string& id, Deadline deadline) {
  const Deadline patience = deadline.AtMost(kKillWait);
  int lost = 0;
  while (const int killed = containerd::KillAll(cgroups_, CgroupOf(id))) {
    lost = std::max(lost, killed);
    if (patience.Expired()) return DeadlineExceeded("instance " + id + ": does not die");
    poll(nullptr, 0, 5);  // a killed process leaves its cgroup a moment later, and nothing tells when
  }
  if (lost > 0) LOG_WARNING("killed what containerd had lost of a container", {{"instance", id}, {"processes", lost}});
  return OkStatus();
}

Status ContainerdRuntime::EndTask(const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::optional<containerd::Task> task, containerd::GetTask(connection_, id, deadline));
  RETURN_IF_ERROR(EndSeen(id, task, deadline));
  if (task) return OkStatus();
  // One that containerd shows no more, or not yet, is in the way of a new one, and without its container could never be
  // ended: its shim has died and containerd has not cleared away after it, or (1.6) containerd was killed between its
  // shim's start and its own.
  const Status removed = containerd::DeleteTask(connection_, id, deadline);
  const bool runs = removed.code() == StatusCode::kFailedPrecondition;  // whoever looks next sees it
  if (!removed.ok()) return runs ? OkStatus() : removed;
  return EndStrayShims(id, deadline);
}

// Of a task that containerd says it does not have.
Status ContainerdRuntime::EndStrayShims(const std::string& id, Deadline deadline) {
  const std::vector<pid_t> shims = containerd::ShimsOf(options_.space, id);
  if (shims.empty()) return OkStatus();
  for (const pid_t shim : shims) kill(shim, SIGKILL);
  LOG_WARNING("killed a shim that containerd had lost",
              {{"instance", id}, {"processes", static_cast<int>(shims.size())}});
  return EndProcesses(id, deadline);  // what it had started
}

Status ContainerdRuntime::EndSeen(const std::string& id, const std::optional<containerd::Task>& task,
                                  Deadline deadline) {
  if (task) {
    InstanceReport seen{.id = id};
    if (task->state == containerd::TaskState::kStopped) FillIn(&seen, true, &*task);  // how it ended is told no more
    if (task->state != containerd::TaskState::kStopped) {
      containerd::KillTask(connection_, id, SIGKILL, true, deadline).IgnoreError();
      if (task->state == containerd::TaskState::kPaused)
        containerd::ResumeTask(connection_, id, deadline).IgnoreError();
      // A task that was never started has no end to wait for in some versions.
      if (task->state != containerd::TaskState::kCreated)
        containerd::AwaitTask(connection_, id, deadline.AtMost(kKillWait)).IgnoreError();
    }
    Status removed = containerd::DeleteTask(connection_, id, deadline);
    if (removed.code() == StatusCode::kFailedPrecondition) {
      // It does not listen: by the kernel, then.
      RETURN_IF_ERROR(EndProcesses(id, deadline));
      RETURN_IF_ERROR(containerd::AwaitTask(connection_, id, deadline.AtMost(kKillWait)));
      removed = containerd::DeleteTask(connection_, id, deadline);
    }
    RETURN_IF_ERROR(removed);
  }
  RETURN_IF_ERROR(EndProcesses(id, deadline));
  RETURN_IF_ERROR(network_.Disconnect(id, DirectoryOf(id), deadline));
  containerd::RemoveCgroup(cgroups_, CgroupOf(id));
  return OkStatus();
}

Status ContainerdRuntime::Remove(const std::string& id, Deadline deadline) {
  const StatusOr<containerd::OwnContainer> container = Find(id, deadline);
  if (container.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(container.status());
  const UnderWay under_way(this, id);
  RETURN_IF_ERROR(EndTask(id, deadline));
  RETURN_IF_ERROR(containerd::DeleteContainer(connection_, id, deadline));
  RETURN_IF_ERROR(snapshots_.Remove(container->snapshot_key, deadline));
  RETURN_IF_ERROR(RemoveTree(DirectoryOf(id)));
  MutexLock lock(&mu_);
  ends_.erase(id);
  oom_.erase(id);
  return OkStatus();
}

}  // namespace mcpfleet
