// containerd's Leases service: what a lease holds is not collected.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

struct Lease {
  std::string id;
  std::map<std::string, std::string> labels;
};

// It ends by itself after `life`, so that a crash holds nothing for ever. One that exists is taken as it is.
Status CreateLease(const Connection& connection, const Lease& lease, Duration life, Deadline deadline);
// Absent is OK.
Status DeleteLease(const Connection& connection, const std::string& id, Deadline deadline);
StatusOr<std::vector<Lease>> ListLeases(const Connection& connection, const std::string& filter, Deadline deadline);

}  // namespace mcpfleet::containerd
