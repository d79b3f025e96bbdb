#include "edge-runtime/shim/install.h"

#include <sys/stat.h>

#include "base/digest.h"
#include "base/fd.h"

namespace mcpfleet {
namespace {
// The static program is below 1.5 MB; unstripped debug builds are larger.
constexpr size_t kMaxProgramBytes = size_t{64} << 20;
}  // namespace

StatusOr<std::string> InstallProgram(const std::string& state_directory, const std::string& source,
                                     const std::string& name) {
  ASSIGN_OR_RETURN(std::string program, ReadFile(source, kMaxProgramBytes));
  std::string directory = state_directory + "/lib";
  RETURN_IF_ERROR(MakeDirectories(directory, 0755));
  std::string path = directory + "/" + name + "-" + Sha256Hex(program).substr(0, 16);
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && static_cast<size_t>(info.st_size) == program.size()) return path;
  RETURN_IF_ERROR(WriteFileAtomically(path, program, 0755));
  return path;
}

StatusOr<std::string> InstallShim(const std::string& state_directory, const std::string& source) {
  return InstallProgram(state_directory, source, "mcp-shim");
}

}  // namespace mcpfleet
