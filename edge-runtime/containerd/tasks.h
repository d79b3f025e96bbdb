// containerd's Tasks service: a container's processes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/descriptor.h"

namespace mcpfleet::containerd {

enum class TaskState { kUnknown, kCreated, kRunning, kPaused, kStopped };

struct Task {
  std::string id;  // the container's
  TaskState state = TaskState::kUnknown;
  int pid = 0;  // first process, in the host's pid namespace
  uint32_t exit_status = 0;
  WallTime exited_at{};
};

StatusOr<std::optional<Task>> GetTask(const Connection& connection, const std::string& id, Deadline deadline);
// Of the whole containerd namespace, by container.
StatusOr<std::map<std::string, Task>> ListTasks(const Connection& connection, Deadline deadline);
// Makes namespaces, mounts and the first process, which waits for StartTask. `log` is the address of who reads its
// stdout and stderr. Returns its pid.
StatusOr<int> CreateTask(const Connection& connection, const std::string& id, const std::vector<Mount>& root,
                         const std::string& log, Deadline deadline);
Status StartTask(const Connection& connection, const std::string& id, Deadline deadline);
// `all`: every process of the container, not its first one only. NotFound when there is none to signal.
Status KillTask(const Connection& connection, const std::string& id, int signal, bool all, Deadline deadline);
Status ResumeTask(const Connection& connection, const std::string& id, Deadline deadline);
// Until its first process has ended. OK also when there is no task any more.
Status AwaitTask(const Connection& connection, const std::string& id, Deadline deadline);
// Absent is OK; FailedPrecondition while it runs.
Status DeleteTask(const Connection& connection, const std::string& id, Deadline deadline);
// As containerd's shims read it from their cgroups.
StatusOr<std::vector<InstanceUsage>> TaskUsage(const Connection& connection, Deadline deadline);

}  // namespace mcpfleet::containerd
