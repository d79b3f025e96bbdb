// Where clients of a server go, from what is wanted and what is seen. Pure.
#pragma once

#include <memory>
#include <optional>

#include "controller/core/plan.h"
#include "controller/ports/gateway_servers.h"
#include "crd/server_status.h"

namespace mcpfleet {

struct ClientInput {
  std::shared_ptr<const DesiredServer> desired;  // null: not placed here (any more)
  std::shared_ptr<const DesiredServer> current;  // the last accepted spec
  std::shared_ptr<const DesiredServer> serving;  // of the serving instance's revision; null when nobody knows it
  ArtifactState artifact;                        // of that revision
  const Observed* observed = nullptr;
  const ServerStatus* status = nullptr;
};

// nullopt: nobody knows a spec for it, so there is nothing to say.
std::optional<ClientTarget> ClientTargetFor(const ClientInput& input);
// Whether a gateway would do something else now. A message that changes is no reason.
bool SameTarget(const std::optional<ClientTarget>& a, const std::optional<ClientTarget>& b);

}  // namespace mcpfleet
