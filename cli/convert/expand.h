// ${…} in texts of the source. Internal to cli/convert.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/convert/draft.h"

namespace mcpfleet::convert {

// What stands for a placeholder. `unknown` says why nothing does.
struct Replacement {
  std::string value = {}, unknown = {};
  bool secret = false;
};
using Lookup = std::function<Replacement(std::string_view name)>;

enum class Dollar {
  kBraces,   // ${name}, ${name:-default}; other dollars are text
  kCompose,  // also $name, ${name-default}, ${name:?…}, and $$ for a dollar
};
// An unknown placeholder stays in the value as it stands.
Text Expand(std::string_view raw, std::string path, Dollar dollar, const Lookup& lookup);

}  // namespace mcpfleet::convert
