#include "edge-runtime/containerd/shims.h"

#include <dirent.h>

#include <algorithm>
#include <cstdlib>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet::containerd {

bool IsShimOf(const std::vector<std::string>& argv, const std::string& space, const std::string& id) {
  if (argv.empty()) return false;
  const std::string& program = argv.front();
  if (!program.substr(program.rfind('/') + 1).starts_with("containerd-shim")) return false;
  const auto has = [&](std::string_view word) { return std::find(argv.begin(), argv.end(), word) != argv.end(); };
  if (has("start") || has("delete")) return false;
  const auto says = [&](std::string_view option, std::string_view value) {
    const auto at = std::find(argv.begin(), argv.end(), option);
    return at != argv.end() && at + 1 != argv.end() && *(at + 1) == value;
  };
  return says("-namespace", space) && says("-id", id);
}

std::vector<pid_t> ShimsOf(const std::string& space, const std::string& id) {
  constexpr size_t kCommandBytes = size_t{64} << 10;
  std::vector<pid_t> shims;
  DIR* listing = opendir("/proc");
  if (listing == nullptr) return shims;
  while (const dirent* entry = readdir(listing)) {
    const int pid = std::atoi(entry->d_name);
    if (pid <= 1) continue;
    const std::string argv = ReadFile(std::string("/proc/") + entry->d_name + "/cmdline", kCommandBytes).value_or("");
    if (argv.find(id) != std::string::npos && IsShimOf(Split(argv, '\0'), space, id)) shims.push_back(pid);
  }
  closedir(listing);
  return shims;
}

}  // namespace mcpfleet::containerd
