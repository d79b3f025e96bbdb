// What of an object apply would change: labels, annotations, spec, as a unified difference of their YAML.
#pragma once

#include <string>

#include "crd/object.h"

namespace mcpfleet::cli {

// Null: there is none, before or after. "" when nothing differs; coloured when asked.
std::string ObjectDiff(const Object* before, const Object* after, const std::string& before_name,
                       const std::string& after_name, bool color);

}  // namespace mcpfleet::cli
