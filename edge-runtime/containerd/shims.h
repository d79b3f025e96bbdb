// containerd's shims as processes. A client that dies while its task is made (1.6 at least) leaves a shim that
// containerd has forgotten: no call reaches it, it is in no container's cgroup, and it keeps the pipes of the log open
// for ever.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace mcpfleet::containerd {

// The shims of a container by their command lines; not the short-lived calls by which containerd starts one or clears
// away after it.
std::vector<pid_t> ShimsOf(const std::string& space, const std::string& id);

// Pure: whether these are the words of such a shim.
bool IsShimOf(const std::vector<std::string>& argv, const std::string& space, const std::string& id);

}  // namespace mcpfleet::containerd
