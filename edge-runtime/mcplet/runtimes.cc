#include "edge-runtime/mcplet/runtimes.h"

#include "base/libexec.h"
#include "edge-runtime/docker/docker_runtime.h"
#include "edge-runtime/process/process_runtime.h"
#include "edge-runtime/shim/install.h"

namespace mcpfleet {

std::map<RuntimeKind, ContainerRuntime*> Runtimes::Pointers() const {
  std::map<RuntimeKind, ContainerRuntime*> pointers;
  for (const auto& [kind, runtime] : all) pointers[kind] = runtime.get();
  return pointers;
}

StatusOr<Runtimes> MakeRuntimes(const Config& config, const Clock& clock) {
  Runtimes runtimes;
  ASSIGN_OR_RETURN(std::string source, FindOwnProgram("mcp-shim"));
  ASSIGN_OR_RETURN(std::string shim, InstallShim(config.state_directory, source));
  if (config.use_docker) {
    ASSIGN_OR_RETURN(runtimes.all[RuntimeKind::kDocker],
                     DockerRuntime::Create({.socket_path = config.docker_socket,
                                            .node_name = config.node,
                                            .shim_binary = shim,
                                            .state_directory = config.state_directory},
                                           clock));
  }
  if (config.use_process) {
    ASSIGN_OR_RETURN(std::string sandbox, FindOwnProgram("mcp-sandbox"));
    ASSIGN_OR_RETURN(runtimes.all[RuntimeKind::kProcess],
                     ProcessRuntime::Create({.state_directory = config.state_directory,
                                             .sandbox_binary = sandbox,
                                             .shim_binary = shim,
                                             .node_name = config.node,
                                             .clock = &clock}));
  }
  return runtimes;
}

}  // namespace mcpfleet
