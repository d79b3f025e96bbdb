// Names of packages as people type them: "pkg", "@scope/pkg@1.2.3", "pkg==1.2.3", "pkg@latest".
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet::convert {

struct PackageName {
  std::string name;
  std::string version;  // exact, or a tag, or "" for none
};
// InvalidArgument for what is no package of that registry: git and file URLs, ranges, extras.
StatusOr<PackageName> ParseNpm(std::string_view text);
StatusOr<PackageName> ParsePypi(std::string_view text);
// An exact version of npm or pypi.
bool IsExact(std::string_view manager, const std::string& version);

}  // namespace mcpfleet::convert
