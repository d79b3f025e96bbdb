#include "edge-runtime/mcplet/runtimes.h"

#include <sys/statvfs.h>

#include "base/libexec.h"
#include "base/log.h"
#ifdef MCPFLEET_CONTAINERD
#include <absl/synchronization/mutex.h>

#include "edge-runtime/containerd/containerd_runtime.h"
#endif
#include "edge-runtime/docker/docker_runtime.h"
#include "edge-runtime/docker/stdio_path.h"
#include "edge-runtime/process/process_runtime.h"
#include "edge-runtime/shim/install.h"

namespace mcpfleet {
namespace {

StatusOr<std::string> Install(const std::string& state_directory) {
  ASSIGN_OR_RETURN(std::string source, FindOwnProgram("mcp-shim"));
  return InstallShim(state_directory, source);
}

bool RunsNoPrograms(const std::string& directory) {
  struct statvfs info;
  return statvfs(directory.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

#ifdef MCPFLEET_CONTAINERD
Status AddContainerd(const Config& config, const std::string& shim, const Clock& clock, Runtimes* runtimes) {
  ASSIGN_OR_RETURN(const std::string source, FindOwnProgram("mcp-log"));
  ASSIGN_OR_RETURN(const std::string logger, InstallProgram(config.state_directory, source, "mcp-log"));
  const ContainerdConfig& given = config.containerd;
  // gRPC's mutexes: Debian's build of them draws, at each lock, the graph of who waits for whom.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ASSIGN_OR_RETURN(auto containerd, ContainerdRuntime::Create({.socket_path = given.socket,
                                                               .space = given.space,
                                                               .snapshotter = given.snapshotter,
                                                               .runtime = given.runtime,
                                                               .node_name = config.node,
                                                               .shim_binary = shim,
                                                               .log_binary = logger,
                                                               .state_directory = config.state_directory,
                                                               .hosts_directory = given.hosts_directory,
                                                               .network = {.plugin_directories = given.cni_directories,
                                                                           .configuration_file = given.cni_file,
                                                                           .subnet = given.cni_subnet}},
                                                              clock));
  runtimes->tails[RuntimeKind::kContainerd] = containerd.get();
  runtimes->all[RuntimeKind::kContainerd] = std::move(containerd);
  return OkStatus();
}
#else
Status AddContainerd(const Config&, const std::string&, const Clock&, Runtimes*) {
  return FailedPrecondition(
      "spec.runtimes.containerd: this mcplet was built without containerd; set enabled: Never, or build it with "
      "-DMCPFLEET_CONTAINERD=ON");
}
#endif

}  // namespace

std::map<RuntimeKind, ContainerRuntime*> Runtimes::Pointers() const {
  std::map<RuntimeKind, ContainerRuntime*> pointers;
  for (const auto& [kind, runtime] : all) pointers[kind] = runtime.get();
  return pointers;
}

StatusOr<std::unique_ptr<LogTail>> Runtimes::OpenTail(const InstanceReport& instance, const TailFrom& from,
                                                      Deadline deadline) const {
  const auto found = tails.find(instance.runtime);
  if (found == tails.end())
    return Unavailable("the runtime of instance " + instance.id + " is not in use on this node");
  return found->second->OpenTail(instance.id, from, deadline);
}

StatusOr<Runtimes> MakeRuntimes(const Config& config, const Clock& clock) {
  Runtimes runtimes;
  const StatusOr<std::string> installed = Install(config.state_directory);
  const std::string shim = installed.value_or("");
  if (!installed.ok())
    LOG_WARNING("no shim: servers are attached, and run in Docker only", {{"error", installed.status()}});
  if (config.use_docker) {
    ASSIGN_OR_RETURN(runtimes.attachments, DockerAttachments::Create(config.state_directory, clock));
    const StdioFacts facts{.asked = config.docker_attach,
                           .shim_error = installed.ok() ? "" : Message(installed.status()),
                           .noexec = RunsNoPrograms(config.state_directory)};
    ASSIGN_OR_RETURN(auto docker, DockerRuntime::Create({.socket_path = config.docker_socket,
                                                         .node_name = config.node,
                                                         .shim_binary = shim,
                                                         .attach = WhyAttach(facts),
                                                         .attachments = runtimes.attachments.get(),
                                                         .state_directory = config.state_directory},
                                                        clock));
    runtimes.tails[RuntimeKind::kDocker] = docker.get();
    runtimes.all[RuntimeKind::kDocker] = std::move(docker);
  }
  // Without the shim nobody would reach a stdio server in it.
  if (config.containerd.enabled && installed.ok()) RETURN_IF_ERROR(AddContainerd(config, shim, clock, &runtimes));
  if (config.use_process && installed.ok()) {
    ASSIGN_OR_RETURN(std::string sandbox, FindOwnProgram("mcp-sandbox"));
    ASSIGN_OR_RETURN(auto process, ProcessRuntime::Create({.state_directory = config.state_directory,
                                                           .sandbox_binary = sandbox,
                                                           .shim_binary = shim,
                                                           .node_name = config.node,
                                                           .clock = &clock}));
    runtimes.tails[RuntimeKind::kProcess] = process.get();
    runtimes.all[RuntimeKind::kProcess] = std::move(process);
  }
  return runtimes;
}

}  // namespace mcpfleet
