// The typed spec back to JSON, leaving out whatever equals the schema's default: one form for equal specs, and a field
// that a later version adds does not change it. RevisionOf hashes it, and the controller notes it.
#pragma once

#include "base/json.h"
#include "crd/server_spec.h"

namespace mcpfleet {

Json EncodeServerSpec(const ServerSpec& spec);

}  // namespace mcpfleet
