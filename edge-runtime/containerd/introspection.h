// containerd's Version and Introspection services: what this containerd is and can do.
#pragma once

#include <map>
#include <string>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

struct Engine {
  std::string version;    // "1.6.20"
  bool transfer = false;  // it pulls for clients (1.7 and later)
  bool mirrors = false;   // and reads a hosts directory for it (2.0 and later; for 1.7 see hosts_file.h)
  // Snapshotters that it knows, each with why it can't be used, "" when it can.
  std::map<std::string, std::string> snapshotters;
};

StatusOr<Engine> AskEngine(const Connection& connection, Deadline deadline);

}  // namespace mcpfleet::containerd
