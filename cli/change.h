// Read, modify, write of stored objects, for the verbs that change one thing of them.
#pragma once

#include <functional>
#include <string>

#include "cli/apply.h"
#include "cli/resource.h"
#include "crd/object.h"

namespace mcpfleet::cli {

// Changes every object of the selection and writes the ones that differ. Two writers at once: the later one writes what
// it read plus its change.
Status ChangeObjects(Session& session, const Selection& selection, const std::string& message,
                     const std::function<Status(Object*)>& change);

// Splits the arguments of label and annotate, "KIND NAME k=v k2-", into what selects, what is set and what is removed.
struct PairChange {
  std::vector<std::string> selecting;
  Labels set;
  std::vector<std::string> remove;
};
StatusOr<PairChange> SplitPairs(const std::vector<std::string>& arguments, bool annotations);

}  // namespace mcpfleet::cli
