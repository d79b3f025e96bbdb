// Read, modify, write of stored objects, for the verbs that change one thing of them.
#pragma once

#include <functional>
#include <string>

#include "cli/apply.h"
#include "cli/resource.h"

namespace mcpfleet::cli {

// Changes every object of the selection and writes the ones that differ. Two writers at once: the later one writes what it
// read plus its change.
Status ChangeObjects(Session& session, const Selection& selection, const std::string& message,
                     const std::function<Status(Object*)>& change);

}  // namespace mcpfleet::cli
