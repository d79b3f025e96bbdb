#include "base/libexec.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <vector>

#include "base/strings.h"

namespace mcpfleet {

StatusOr<std::string> FindOwnProgram(const std::string& name) {
  std::vector<std::string> candidates;
  if (const char* directory = getenv("MCPFLEET_LIBEXEC"); directory != nullptr && *directory != '\0') {
    candidates.push_back(std::string(directory) + "/" + name);
  }
  char self[PATH_MAX];
  if (ssize_t n = readlink("/proc/self/exe", self, sizeof self); n > 0 && n < PATH_MAX) {
    std::string directory(self, static_cast<size_t>(n));
    directory.erase(directory.rfind('/'));
    candidates.push_back(directory + "/" + name);
    candidates.push_back(directory + "/../libexec/mcpfleet/" + name);
  }
  for (const std::string& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return NotFound(name + " is not installed; looked at: " + Join(candidates, ", "));
}

}  // namespace mcpfleet
