#include "crd/change_rules.h"

#include <nlohmann/json.hpp>

namespace mcpfleet {

std::vector<Violation> ValidateChange(const Object& before, const Object& after) {
  std::vector<Violation> found;
  if (after.kind != kKindSecret) return found;
  // The version is what servers look at: other values under the same one would never reach them.
  if (GetString(before.spec, "dataVersion") == GetString(after.spec, "dataVersion") &&
      GetMember(before.spec, "data") != GetMember(after.spec, "data")) {
    found.push_back({"", 0, "spec.data", "changed while dataVersion stayed", "what mcpctl create secret makes"});
  }
  return found;
}

}  // namespace mcpfleet
