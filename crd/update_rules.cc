// How a server is replaced, and whether it sleeps: updateStrategy, activation.
#include <chrono>

#include "crd/rules.h"

namespace mcpfleet {

void CheckUpdateRules(const Json& spec, const ReportViolation& report) {
  using std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
  const Json& strategy = GetMember(spec, "updateStrategy");
  CheckDuration(report, "spec.updateStrategy.drainTimeout", GetMember(strategy, "drainTimeout"), minutes(10),
                seconds(0), hours(24), "0s to 24h");
  CheckDuration(report, "spec.updateStrategy.progressDeadline", GetMember(strategy, "progressDeadline"), minutes(5),
                seconds(1), hours(24), "1s to 24h");
  CheckDuration(report, "spec.activation.idleAfter", GetMember(GetMember(spec, "activation"), "idleAfter"), minutes(15),
                seconds(1), hours(168), "1s to 168h");
}

}  // namespace mcpfleet
