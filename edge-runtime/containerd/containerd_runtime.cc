#include "edge-runtime/containerd/containerd_runtime.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/containerd/oci_spec.h"
#include "edge-runtime/engine/enforceable.h"

namespace mcpfleet {
namespace {

std::string SocketPath(std::string_view address) {
  constexpr std::string_view kScheme = "unix://";
  if (address.starts_with(kScheme)) address.remove_prefix(kScheme.size());
  return std::string(address);
}

// EFAULT for the missing program, not EINVAL: the mode is known.
bool HasSeccomp() { return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr, 0, 0) != 0 && errno == EFAULT; }

containerd::NetworkOptions NetworkOf(const ContainerdOptions& options) {
  containerd::NetworkOptions network = options.network;
  network.state_directory = options.state_directory + "/containerd";
  return network;
}

}  // namespace

StatusOr<std::unique_ptr<ContainerdRuntime>> ContainerdRuntime::Create(ContainerdOptions options, const Clock& clock) {
  options.socket_path = SocketPath(options.socket_path);
  if (!options.socket_path.starts_with("/")) {
    return InvalidArgument("containerd: socket path \"" + options.socket_path +
                           "\" must be absolute, for example /run/containerd/containerd.sock");
  }
  if (options.node_name.empty()) return InvalidArgument("containerd: the node's name is empty");
  const std::pair<const char*, std::string> paths[] = {{"shim binary", options.shim_binary},
                                                       {"log binary", options.log_binary},
                                                       {"state directory", options.state_directory}};
  for (const auto& [what, path] : paths) {
    const bool none = path.empty() && what == paths[0].first;  // only the shim can be left out
    if (!none && !path.starts_with("/"))
      return InvalidArgument("containerd: " + std::string(what) + " \"" + path + "\" must be an absolute path");
  }
  std::unique_ptr<ContainerdRuntime> runtime(new ContainerdRuntime(std::move(options), clock));
  RETURN_IF_ERROR(MakeDirectories(runtime->options_.state_directory + "/containerd", 0711));
  RETURN_IF_ERROR(MakeDirectories(runtime->instances_, 0711));
  return runtime;
}

ContainerdRuntime::ContainerdRuntime(ContainerdOptions options, const Clock& clock)
    : options_(std::move(options)),
      instances_(options_.state_directory + "/containerd/instances"),
      clock_(clock),
      connection_(options_.socket_path, options_.space),
      snapshots_(connection_, options_.snapshotter),
      images_(connection_, snapshots_),
      network_(NetworkOf(options_)),
      cgroups_(containerd::DetectCgroups()),
      seccomp_(HasSeccomp()) {}

bool ContainerdRuntime::Supports(const ServerSpec& spec) const {
  return std::holds_alternative<ImageSource>(spec.source);
}

std::string ContainerdRuntime::WhyNoSecrets(const ServerSpec&) const {
  return containerd::WhyNoSecrets(options_.shim_binary);
}

std::vector<std::string> ContainerdRuntime::Unenforced() const {
  std::vector<std::string> missing = cgroups_.missing;
  if (!seccomp_) missing.emplace_back("seccomp");
  return missing;
}

StatusOr<containerd::Engine> ContainerdRuntime::Connect(Deadline deadline) {
  {
    MutexLock lock(&mu_);
    if (engine_) return *engine_;
  }
  return Meet(deadline);
}

StatusOr<containerd::Engine> ContainerdRuntime::Meet(Deadline deadline) {
  StatusOr<containerd::Engine> engine = containerd::AskEngine(connection_, deadline);
  MutexLock lock(&mu_);
  engine_.reset();
  if (engine.ok()) engine_ = *engine;
  return engine;
}

RuntimeCheck ContainerdRuntime::Check(Deadline deadline) {
  StatusOr<containerd::Engine> engine = Meet(deadline);
  if (!engine.ok()) {
    return {.available = false,
            .reason = Message(engine.status()) + "; is containerd running at " + options_.socket_path +
                      ", and may this user open its socket?"};
  }
  RuntimeCheck check{.version = engine->version, .unenforced = Unenforced()};
  const auto snapshotter = engine->snapshotters.find(options_.snapshotter);
  if (snapshotter == engine->snapshotters.end())
    check.reason = "containerd " + engine->version + " has no snapshotter " + options_.snapshotter +
                   "; name another in spec.runtimes.containerd.snapshotter";
  else if (!snapshotter->second.empty())
    check.reason = "containerd's snapshotter " + options_.snapshotter + " can't be used: " + snapshotter->second;
  else if (access(options_.log_binary.c_str(), X_OK) != 0)
    check.reason = options_.log_binary + ": not there or not executable";
  check.available = check.reason.empty();
  return check;
}

// --- list ---

void ContainerdRuntime::FillIn(InstanceReport* report, bool started, const containerd::Task* task) {
  using containerd::TaskState;
  const TaskState state = task == nullptr ? TaskState::kUnknown : task->state;
  const bool made = task != nullptr && state == TaskState::kCreated;
  // Its shim did not answer in time: a busy machine is no reason to take a server for dead.
  const int living =
      task != nullptr && state == TaskState::kUnknown ? containerd::FirstProcess(cgroups_, CgroupOf(report->id)) : 0;
  if (state == TaskState::kRunning || state == TaskState::kPaused || living != 0) {
    report->state = InstanceState::kRunning;
    report->pid = living != 0 ? living : task->pid;
    MutexLock lock(&mu_);
    ends_.erase(report->id);
    return;
  }
  if (made || !started) {
    report->state = InstanceState::kCreated;
    return;
  }
  report->state = InstanceState::kExited;
  MutexLock lock(&mu_);
  if (state == TaskState::kStopped) {
    const bool oom = oom_.contains(report->id) || containerd::OomKills(cgroups_, CgroupOf(report->id)) > 0;
    ends_[report->id] = {containerd::ExitOf(task->exit_status, oom), task->exited_at};
  }
  // No task, and nobody saw its end: its shim was killed, and with it whatever it knew.
  const auto end = ends_.find(report->id);
  const End last = end == ends_.end() ? End{containerd::ExitOf(128 + 9, false), report->started_at} : end->second;
  report->exit = last.exit;
  report->finished_at = std::max(last.at, report->started_at);
}

StatusOr<std::vector<InstanceReport>> ContainerdRuntime::List(Deadline deadline) {
  // Containers first: a task is there only as long as its container.
  ASSIGN_OR_RETURN(const std::vector<containerd::Container> containers,
                   containerd::ListContainers(connection_, containerd::OfNode(options_.node_name), deadline));
  std::vector<InstanceReport> reports;
  if (containers.empty()) return reports;
  ASSIGN_OR_RETURN(const auto tasks, containerd::ListTasks(connection_, deadline));
  for (const containerd::Container& container : containers) {
    std::optional<containerd::OwnContainer> own = containerd::OwnContainerOf(container, options_.node_name);
    if (!own) continue;
    const auto task = tasks.find(container.id);
    FillIn(&own->report, own->started, task == tasks.end() ? nullptr : &task->second);
    reports.push_back(std::move(own->report));
  }
  std::sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return reports;
}

StatusOr<std::optional<InstanceReport>> ContainerdRuntime::Look(const std::string& id, Deadline deadline) {
  StatusOr<containerd::OwnContainer> own = Find(id, deadline);
  if (own.status().code() == StatusCode::kNotFound) return std::optional<InstanceReport>();
  RETURN_IF_ERROR(own.status());
  ASSIGN_OR_RETURN(const std::optional<containerd::Task> task, containerd::GetTask(connection_, id, deadline));
  FillIn(&own->report, own->started, task ? &*task : nullptr);
  return std::optional<InstanceReport>(std::move(own->report));
}

StatusOr<containerd::OwnContainer> ContainerdRuntime::Find(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id \"" + Printable(id) + "\" is malformed");
  StatusOr<containerd::Container> container = containerd::GetContainer(connection_, id, deadline);
  if (!container.ok()) return Annotate(container.status(), "instance " + id);
  std::optional<containerd::OwnContainer> own = containerd::OwnContainerOf(*container, options_.node_name);
  if (!own) return NotFound("instance " + id + ": container " + id + " is not this node's");
  return *std::move(own);
}

}  // namespace mcpfleet
