// How a stdio server in a container is reached: through the shim, or attached where the shim can't work. Pure; the
// answers are reasons for people, "" when the shim can be used.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mcpfleet {

// What a node knows of itself.
struct StdioFacts {
  bool asked = false;      // runtimes.docker.stdio is Attach
  std::string shim_error;  // why there is no shim to mount, "" when there is one
  bool noexec = false;     // the file system of the state directory runs no programs
};
std::string WhyAttach(const StdioFacts& facts);

// What a refused create says of the two mounts. `exist_here`: both paths are there for us.
std::string WhyNotMounted(std::string_view engine_message, std::string_view shim_binary,
                          std::string_view shim_directory, bool exist_here);

// What the process shows that the engine names as a running container's first one. `cgroup` is its /proc file, nullopt
// when there is no such process here.
std::string WhyNotMatched(int pid, const std::optional<std::string>& cgroup, std::string_view container_id);

}  // namespace mcpfleet
