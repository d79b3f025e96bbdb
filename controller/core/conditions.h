// What is said of a server: its conditions and the rest of its status, from what is wanted and what is seen. Pure.
//
// Ready is the sum: True when Accepted, ResolvedRefs, ArtifactReady, Available and Verified are, else False (Unknown)
// with the reason and message of the first of them that is not True. SandboxEnforced and StdioTransport inform: where
// the spec demands it, the runtime refuses to create. While the instance of another revision still serves, Available
// and Verified speak of it and Ready is False, Updating.
#pragma once

#include <string>

#include "controller/core/plan.h"
#include "crd/server_status.h"

namespace mcpfleet {

// The last action that failed and has not succeeded since; "" when there is none.
struct ActionFailure {
  std::string reason;  // "CreateFailed"
  std::string message;
};

struct StatusInput {
  ServerKey key;
  const DesiredServer* desired = nullptr;  // null: being removed
  const Observed* observed = nullptr;
  ActionFailure failure;
  MonoTime now{};
  WallTime wall{};
};

// `previous` (may be null) gives the transition times.
ServerStatus BuildStatus(const StatusInput& input, const ServerStatus* previous);
// Whether a reader could tell them apart.
bool SameStatus(const ServerStatus& a, const ServerStatus& b);
bool IsReady(const ServerStatus& status);

}  // namespace mcpfleet
