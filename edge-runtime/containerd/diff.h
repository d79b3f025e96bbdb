// containerd's Diff service: unpacks a layer onto a snapshot.
#pragma once

#include <vector>

#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/descriptor.h"

namespace mcpfleet::containerd {

// Returns the hash of the unpacked archive, which is the layer's diff id.
StatusOr<std::string> ApplyLayer(const Connection& connection, const Descriptor& layer,
                                 const std::vector<Mount>& mounts, const std::string& lease, Deadline deadline);

}  // namespace mcpfleet::containerd
