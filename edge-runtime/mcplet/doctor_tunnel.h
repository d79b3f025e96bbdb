// What `mcplet doctor` finds out about this node's tunnel. It changes nothing of it.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/finding.h"

namespace mcpfleet {

struct TunnelExam {
  tunnel::Mode mode = tunnel::Mode::kOff;
  std::string program;            // where; "": not there
  std::string wanted_program;     // spec.tunnel.program
  StatusOr<std::string> version;  // what it says that it is; an error: it does not run
  Status ingress;                 // what it says of the ingress file
  std::string ingress_file;       // External: where; "": mcplet has not written it yet
  // Managed:
  Status credentials;      // of the file
  std::string cannot_run;  // why no cloudflared can be run here as it is configured; ""
  std::string unenforced;  // it can, but not kept apart: why; ""
  std::string ended;       // of the last one that does not run any more: how; ""
  bool running = false;
  // Of one that runs, where it can be asked: connections to Cloudflare, and why there is none.
  bool asked = false;
  int connections = 0;
  std::string not_connected;
};

// Runs cloudflared to hear its version and what it says of the ingress.
TunnelExam LookAtTunnel(const Config& config);
// Pure. Nothing for a node without a tunnel.
void AddTunnel(const TunnelExam& exam, std::vector<Finding>* out);

}  // namespace mcpfleet
