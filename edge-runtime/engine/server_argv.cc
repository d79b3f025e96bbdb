#include "edge-runtime/engine/server_argv.h"

namespace mcpfleet {

std::vector<std::string> ArgvOf(const InstanceSpec& spec) {
  const bool own = !spec.spec.command.empty();
  std::vector<std::string> argv = own ? spec.spec.command : spec.artifact.entrypoint;
  const bool defaults = !own && spec.spec.args.empty();
  const auto& tail = defaults ? spec.artifact.default_args : spec.spec.args;
  argv.insert(argv.end(), tail.begin(), tail.end());
  return argv;
}

std::vector<std::string> ShimArgv(const std::string& instance) {
  return {kShimTarget, "--instance", instance, "--socket", std::string(kShimDirectoryTarget) + "/agent.sock", "--"};
}

}  // namespace mcpfleet
