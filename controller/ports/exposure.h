// Whether a server that asks for a hostname (spec.expose) is reached by it, as the node's tunnel has it.
#pragma once

#include <string>

#include "crd/server_status.h"

namespace mcpfleet {

struct Exposure {
  // True: the hostname is in what the connected tunnel runs. Else `reason` says why it is not: NotConfigured,
  // HostnameConflict, CloudflareTrusted, TunnelNotReady, ExternallyManaged.
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason, message;
  std::string url;  // where clients reach the server then: "https://fs.example.com/default/files/mcp"

  bool operator==(const Exposure&) const = default;
};

}  // namespace mcpfleet
