#include "edge-runtime/engine/enforceable.h"

#include "base/strings.h"

namespace mcpfleet {

Status CheckEnforceable(const std::vector<std::string>& unenforced) {
  // Many hosts have no swap accounting; the memory limit itself holds there, so that alone refuses nothing.
  if (unenforced.empty() || unenforced == std::vector<std::string>{"swap limit"}) return OkStatus();
  return FailedPrecondition("spec.securityContext.enforcement: Required, but this engine can't enforce: " +
                            Join(unenforced, ", ") + "; mend the engine, or allow BestEffort");
}

}  // namespace mcpfleet
