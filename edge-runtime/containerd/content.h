// containerd's Content service: bytes by their hash.
#pragma once

#include <string>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

// All of it, checked against its hash; more than `limit` bytes are ResourceExhausted.
StatusOr<std::string> ReadContent(const Connection& connection, const std::string& digest, size_t limit,
                                  Deadline deadline);
Status LabelContent(const Connection& connection, const std::string& digest, const std::string& label,
                    const std::string& value, Deadline deadline);
// Whether all of it is there.
StatusOr<bool> HasContent(const Connection& connection, const std::string& digest, Deadline deadline);

}  // namespace mcpfleet::containerd
