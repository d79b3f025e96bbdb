#include "edge-runtime/shim/install.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {
// The static program is below 1.5 MB; unstripped debug builds are larger.
constexpr size_t kMaxProgramBytes = size_t{64} << 20;
}  // namespace

StatusOr<std::string> FindShimBinary() {
  std::vector<std::string> candidates;
  if (const char* libexec = std::getenv("MCPFLEET_LIBEXEC"); libexec != nullptr && *libexec != 0) {
    candidates.push_back(std::string(libexec) + "/mcp-shim");
  }
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  if (n > 0) {
    std::string path(self, static_cast<size_t>(n));
    std::string directory = path.substr(0, path.rfind('/'));
    candidates.push_back(directory + "/mcp-shim");
    candidates.push_back(directory + "/../libexec/mcpfleet/mcp-shim");
  }
  for (const std::string& each : candidates) {
    if (access(each.c_str(), X_OK) == 0) return each;
  }
  return NotFound("mcp-shim: not in " + Join(candidates, ", ") + "; set MCPFLEET_LIBEXEC to its directory");
}

StatusOr<std::string> InstallShim(const std::string& state_directory, const std::string& source) {
  ASSIGN_OR_RETURN(std::string program, ReadFile(source, kMaxProgramBytes));
  std::string directory = state_directory + "/lib";
  RETURN_IF_ERROR(MakeDirectories(directory, 0755));
  std::string path = directory + "/mcp-shim-" + Sha256Hex(program).substr(0, 16);
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && static_cast<size_t>(info.st_size) == program.size()) return path;
  RETURN_IF_ERROR(WriteFileAtomically(path, program, 0755));
  return path;
}

}  // namespace mcpfleet
