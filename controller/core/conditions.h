// What is said of a server: its conditions and the rest of its status, from what is wanted and what is seen. Pure.
//
// Ready is the sum: True when Accepted, ResolvedRefs, ArtifactReady, Available and Verified are, else False (Unknown)
// with the reason and message of the first of them that is not True. SandboxEnforced, StdioTransport and Exposed
// inform: where the spec demands a sandbox, the runtime refuses to create. While the instance of another revision still
// serves, Available and Verified speak of it and Ready is False, Updating; after a roll-out that was taken back
// ProgressDeadlineExceeded. A server that sleeps counts as available, with what it answered before.
//
// Exposed tells where clients get to it: through the gateway, or where the spec asks for a hostname (spec.expose) by
// the tunnel; then False and Unknown are the tunnel's, and the endpoint is the gateway's as long as it is not True.
//
// ToolsPinned is there when the spec pins tools (tools.pinning Warn or Block), or when a tool hides characters. It
// informs under Warn; under Block a pinned tool that changed or is gone keeps Ready False.
#pragma once

#include <optional>
#include <string>

#include "controller/core/plan.h"
#include "controller/ports/exposure.h"
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
  // Where clients reach it through the gateway, "" for nowhere; nullopt: this node has no gateway.
  std::optional<std::string> endpoint;
  std::optional<Exposure> exposure;       // nullopt: it asks for no hostname of its own
  const DesiredServer* newest = nullptr;  // what was asked for, when `desired` is what a roll-out was taken back to
};

// `previous` (may be null) gives the transition times.
ServerStatus BuildStatus(const StatusInput& input, const ServerStatus* previous);
// Whether a reader could tell them apart.
bool SameStatus(const ServerStatus& a, const ServerStatus& b);
bool IsReady(const ServerStatus& status);

}  // namespace mcpfleet
