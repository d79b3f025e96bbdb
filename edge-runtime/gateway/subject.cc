#include "edge-runtime/gateway/subject.h"

#include "base/digest.h"

namespace mcpfleet::gateway {

std::string Subject::Hash() const { return Sha256Hex(id).substr(0, 12); }

}  // namespace mcpfleet::gateway
