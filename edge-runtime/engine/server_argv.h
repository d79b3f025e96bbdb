// What a container runs, by Kubernetes' rules. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// command+args, or ENTRYPOINT+args, or ENTRYPOINT+CMD.
std::vector<std::string> ArgvOf(const InstanceSpec& spec);

// Where an instance sees the shim's binary and the directory of its socket.
inline constexpr char kShimTarget[] = "/.mcp-shim";
inline constexpr char kShimDirectoryTarget[] = "/.mcp";
// argv of the shim before the server's.
std::vector<std::string> ShimArgv(const std::string& instance);

// /tmp lives in memory and counts against the instance's limit.
inline constexpr int64_t kTmpBytes = int64_t{64} << 20;

}  // namespace mcpfleet
