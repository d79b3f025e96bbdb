// Rules over what an object was and what it is to be: the transition rules of the CRDs (CEL with oldSelf), for stores
// that are no API server. Pure.
#pragma once

#include <vector>

#include "crd/object.h"
#include "crd/violation.h"

namespace mcpfleet {

// Everything wrong with the change of one object, whose kind stays. Lines and file are left empty.
std::vector<Violation> ValidateChange(const Object& before, const Object& after);

}  // namespace mcpfleet
