// `mcplet doctor`: what this node can enforce and run, and how to mend what it can't. It works beside a running mcplet
// and changes nothing of it: what it makes to look, it makes in a directory of its own.
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/mcplet/doctor_tunnel.h"
#include "edge-runtime/mcplet/finding.h"
#include "edge-runtime/mcplet/node_conditions.h"

namespace mcpfleet {

// What was found by looking.
struct NodeExam {
  bool root = true;
  Status state_directory;
  std::map<std::string, StatusOr<std::string>> own_programs;  // mcp-shim, mcp-sandbox: where
  Status runtimes_made;
  std::map<RuntimeKind, RuntimeCheck> runtimes;
  std::string npm, node;         // where, or ""
  StatusOr<std::string> python;  // below /usr, where sandboxes see it
  bool pip = true;               // of that Python
  std::string no_relay;          // KernelFeatures::no_relay
  TunnelExam tunnel;
  bool containerd = false;  // it is configured
  std::string no_bridge;    // why its servers can have no network Outbound, "" when they can
  NodeFacts facts;          // clock, disk and memory
};

// Pure. In the order in which they are to be read.
std::vector<Finding> Diagnose(const NodeExam& exam);
// Pure. Whether any server can run.
bool CanRunServers(const NodeExam& exam);

// Looks, and prints a line per finding and one for its mend; true when servers can run here.
bool RunDoctor(const Config& config, const Clock& clock, std::ostream& out);

}  // namespace mcpfleet
