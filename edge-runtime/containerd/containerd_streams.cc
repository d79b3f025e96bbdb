// What flows from containerd and from the instances: events, logs, usage.
#include <unistd.h>

#include <algorithm>

#include "edge-runtime/containerd/containerd_runtime.h"
#include "edge-runtime/containerd/events.h"
#include "edge-runtime/containerd/tasks.h"
#include "edge-runtime/engine/cgroup_usage.h"
#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_reader.h"

namespace mcpfleet {

Status ContainerdRuntime::WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                                      Deadline deadline) {
  return containerd::WatchContainers(
      connection_,
      [&](const containerd::ContainerEvent& event) {
        if (event.topic == "/tasks/oom") {
          MutexLock lock(&mu_);
          oom_.insert(event.container);
        }
        if (event.topic.empty() || IsInstanceId(event.container)) changed(event.container);
      },
      stop, deadline);
}

StatusOr<std::vector<InstanceUsage>> ContainerdRuntime::Usage(Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<InstanceReport> reports, List(deadline));
  std::vector<InstanceUsage> all, told;
  bool asked = false;
  for (const InstanceReport& report : reports) {
    if (report.state != InstanceState::kRunning) continue;
    StatusOr<InstanceUsage> usage = ReadCgroupUsage(report.pid, KernelPaths());
    if (usage.ok()) {
      usage->id = report.id;
      all.push_back(*std::move(usage));
      continue;
    }
    // Our cgroup namespace hides it; containerd tells of all at once.
    if (!asked) {
      ASSIGN_OR_RETURN(told, containerd::TaskUsage(connection_, deadline));
      asked = true;
    }
    const auto found =
        std::find_if(told.begin(), told.end(), [&](const InstanceUsage& each) { return each.id == report.id; });
    if (found != told.end()) all.push_back(*found);
  }
  return all;
}

Status ContainerdRuntime::Logs(const std::string& id, const LogOptions& options,
                               std::function<bool(std::string_view)> sink, Deadline deadline) {
  RETURN_IF_ERROR(Find(id, deadline).status());
  const auto over = [&] {
    const StatusOr<std::optional<containerd::Task>> task = containerd::GetTask(connection_, id, deadline);
    if (!task.ok()) return deadline.Expired();  // containerd is away for a moment; the log goes on without it
    return !*task || (*task)->state == containerd::TaskState::kStopped;
  };
  return ReadLogs(DirectoryOf(id), options, sink, over, deadline);
}

StatusOr<std::unique_ptr<LogTail>> ContainerdRuntime::OpenTail(const std::string& instance, const TailFrom& from,
                                                               Deadline) {
  // Not by containerd: lines are still there when it is away.
  if (!IsInstanceId(instance) || access(DirectoryOf(instance).c_str(), F_OK) != 0)
    return NotFound("instance " + instance);
  return std::make_unique<FileTail>(DirectoryOf(instance), from);
}

}  // namespace mcpfleet
