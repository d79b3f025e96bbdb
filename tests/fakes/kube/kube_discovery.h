// What kubectl asks an API server for besides objects: which groups and resources there are, and objects as tables, by
// the printer columns of their CustomResourceDefinition.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/fakes/kube/kube_kinds.h"

namespace mcpfleet::testing {

// /version, /api, /apis, /api/v1, /apis/<group>/<version>; nullopt for any other path.
std::optional<Json> DiscoveryAnswer(const std::string& path, const std::vector<KubeKind>& kinds);
// A meta.k8s.io/v1 Table of one object or of the items of a list.
Json TableOf(const KubeKind& kind, const Json& answer);

}  // namespace mcpfleet::testing
