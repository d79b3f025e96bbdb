#include "edge-runtime/containerd/tasks.h"

#include <containerd_api/metrics_v1.pb.h>
#include <containerd_api/metrics_v2.pb.h>
#include <containerd_api/tasks.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::tasks::v1;
namespace types = ::containerd::v1::types;
using Stub = api::Tasks::Stub;

TaskState StateOf(types::Status status) {
  switch (status) {
    case types::CREATED:
      return TaskState::kCreated;
    case types::RUNNING:
      return TaskState::kRunning;
    case types::PAUSED:
    case types::PAUSING:
      return TaskState::kPaused;
    case types::STOPPED:
      return TaskState::kStopped;
    default:
      return TaskState::kUnknown;
  }
}

Task TaskOf(const types::Process& process) {
  return {.id = process.container_id().empty() ? process.id() : process.container_id(),
          .state = StateOf(process.status()),
          .pid = static_cast<int>(process.pid()),
          .exit_status = process.exit_status(),
          .exited_at = TimeOf(process.exited_at())};
}

int64_t WithoutCache(uint64_t used, uint64_t cache) { return static_cast<int64_t>(cache < used ? used - cache : used); }

std::optional<InstanceUsage> UsageOf(const api::Metric& metric) {
  InstanceUsage usage{.id = metric.id()};
  // The name is behind the last '/', where there is one.
  const std::string type = metric.data().type_url().substr(metric.data().type_url().rfind('/') + 1);
  if (type == "io.containerd.cgroups.v1.Metrics") {
    io::containerd::cgroups::v1::Metrics read;
    if (!read.ParseFromString(metric.data().value())) return std::nullopt;
    usage.memory_bytes = WithoutCache(read.memory().usage().usage(), read.memory().total_inactive_file());
    usage.cpu_seconds = static_cast<double>(read.cpu().usage().total()) / 1e9;
    usage.oom_kills = static_cast<int64_t>(read.memory_oom_control().oom_kill());
    return usage;
  }
  if (type == "io.containerd.cgroups.v2.Metrics") {
    io::containerd::cgroups::v2::Metrics read;
    if (!read.ParseFromString(metric.data().value())) return std::nullopt;
    usage.memory_bytes = WithoutCache(read.memory().usage(), read.memory().inactive_file());
    usage.cpu_seconds = static_cast<double>(read.cpu().usage_usec()) / 1e6;
    usage.oom_kills = static_cast<int64_t>(read.memory_events().oom_kill());
    return usage;
  }
  return std::nullopt;
}

}  // namespace

StatusOr<std::optional<Task>> GetTask(const Connection& connection, const std::string& id, Deadline deadline) {
  api::GetRequest request;
  request.set_container_id(id);
  api::GetResponse response;
  const Status status = Call<api::Tasks>(connection, deadline, "task " + id, &Stub::Get, request, &response);
  if (status.code() == StatusCode::kNotFound) return std::optional<Task>();
  RETURN_IF_ERROR(status);
  Task task = TaskOf(response.process());
  task.id = id;
  return std::optional<Task>(std::move(task));
}

StatusOr<std::map<std::string, Task>> ListTasks(const Connection& connection, Deadline deadline) {
  const api::ListTasksRequest request;
  api::ListTasksResponse response;
  RETURN_IF_ERROR(Call<api::Tasks>(connection, deadline, "list tasks", &Stub::List, request, &response));
  std::map<std::string, Task> tasks;
  for (const types::Process& process : response.tasks()) {
    Task task = TaskOf(process);
    tasks.emplace(task.id, task);
  }
  return tasks;
}

StatusOr<int> CreateTask(const Connection& connection, const std::string& id, const std::vector<Mount>& root,
                         const std::string& log, Deadline deadline) {
  api::CreateTaskRequest request;
  request.set_container_id(id);
  request.set_stdout(log);
  request.set_stderr(log);
  for (const Mount& mount : root) {
    auto* to = request.add_rootfs();
    to->set_type(mount.type);
    to->set_source(mount.source);
    to->set_target(mount.target);
    for (const std::string& option : mount.options) to->add_options(option);
  }
  api::CreateTaskResponse response;
  const Status made = Call<api::Tasks>(connection, deadline, "task " + id, &Stub::Create, request, &response);
  // The directory of a task before it, which containerd has not cleared away yet.
  if (Message(made).find("file exists") != std::string::npos) return AlreadyExists(Message(made));
  RETURN_IF_ERROR(made);
  return static_cast<int>(response.pid());
}

Status StartTask(const Connection& connection, const std::string& id, Deadline deadline) {
  api::StartRequest request;
  request.set_container_id(id);
  api::StartResponse response;
  return Call<api::Tasks>(connection, deadline, "start task " + id, &Stub::Start, request, &response);
}

Status KillTask(const Connection& connection, const std::string& id, int signal, bool all, Deadline deadline) {
  api::KillRequest request;
  request.set_container_id(id);
  request.set_signal(static_cast<uint32_t>(signal));
  request.set_all(all);
  wire::Empty response;
  return Call<api::Tasks>(connection, deadline, "signal task " + id, &Stub::Kill, request, &response);
}

Status ResumeTask(const Connection& connection, const std::string& id, Deadline deadline) {
  api::ResumeTaskRequest request;
  request.set_container_id(id);
  wire::Empty response;
  return Call<api::Tasks>(connection, deadline, "resume task " + id, &Stub::Resume, request, &response);
}

Status AwaitTask(const Connection& connection, const std::string& id, Deadline deadline) {
  api::WaitRequest request;
  request.set_container_id(id);
  api::WaitResponse response;
  const Status status = Call<api::Tasks>(connection, deadline, "await task " + id, &Stub::Wait, request, &response);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

Status DeleteTask(const Connection& connection, const std::string& id, Deadline deadline) {
  api::DeleteTaskRequest request;
  request.set_container_id(id);
  api::DeleteResponse response;
  const Status status = Call<api::Tasks>(connection, deadline, "remove task " + id, &Stub::Delete, request, &response);
  // Its shim has died: containerd clears away after it by itself.
  const bool dead =
      status.code() == StatusCode::kUnavailable && Message(status).find("ttrpc: closed") != std::string::npos;
  return dead || status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

StatusOr<std::vector<InstanceUsage>> TaskUsage(const Connection& connection, Deadline deadline) {
  const api::MetricsRequest request;
  api::MetricsResponse response;
  RETURN_IF_ERROR(Call<api::Tasks>(connection, deadline, "usage of tasks", &Stub::Metrics, request, &response));
  std::vector<InstanceUsage> all;
  for (const api::Metric& metric : response.metrics()) {
    if (std::optional<InstanceUsage> usage = UsageOf(metric)) all.push_back(*std::move(usage));
  }
  return all;
}

}  // namespace mcpfleet::containerd
