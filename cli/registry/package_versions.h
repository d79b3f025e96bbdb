// The newest version of a package of npm or PyPI, for whoever names none: an MCPServer has an exact one.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cli/registry/json_source.h"

namespace mcpfleet::registry {

struct PackageSources {
  std::string npm;  // "": the one that npm is set up with here
  std::string pypi = "https://pypi.org";
};
// With MCPCTL_NPM_REGISTRY and MCPCTL_PYPI of the environment, where they are set.
PackageSources SourcesOfEnvironment();

// `manager` is npm or pypi; `tag` a dist-tag of npm, "" or "latest" for the newest. NotFound for what is not there,
// FailedPrecondition for a version that is not exact, or when npm's registry is wanted and there is no npm to say it.
StatusOr<std::string> NewestVersion(const PackageSources& sources, const std::string& manager, const std::string& name,
                                    const std::string& tag, const OnRequest& on_request, Deadline deadline);

}  // namespace mcpfleet::registry
