#include "edge-runtime/docker/stdio_path.h"

namespace mcpfleet {

std::string WhyAttach(const StdioFacts& facts) {
  if (facts.asked) return "runtimes.docker.stdio is Attach";
  if (!facts.shim_error.empty()) return "there is no mcp-shim to mount: " + facts.shim_error;
  if (facts.noexec) return "stateDirectory is on a file system mounted noexec, so the shim in it can't run";
  return "";
}

std::string WhyNotMounted(std::string_view engine_message, std::string_view shim_binary,
                          std::string_view shim_directory, bool exist_here) {
  // What is missing here too is a fault to report, not an engine that sees other files.
  if (!exist_here || shim_binary.empty()) return "";
  const auto says = [&](std::string_view text) {
    return !text.empty() && engine_message.find(text) != std::string_view::npos;
  };
  // Docker and Podman.
  const bool missing = says("source path does not exist") || says("no such file or directory");
  if (!missing || (!says(shim_binary) && !says(shim_directory))) return "";
  return "the engine does not see stateDirectory; it has other files than mcplet";
}

std::string WhyNotMatched(int pid, const std::optional<std::string>& cgroup, std::string_view container_id) {
  if (pid > 0 && cgroup && cgroup->find(container_id) != std::string::npos) return "";
  return "the engine's process numbers are not those of mcplet, so the shim can't be told from others; mcplet needs "
         "the "
         "host's pid namespace";
}

}  // namespace mcpfleet
