// The resources that the fake API server has: ours from crd/*.yaml, and of the built-in ones the fields that mcplet
// uses.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::testing {

// The service account of manifests/kubernetes/rbac.yaml.
inline constexpr char kMcpletUser[] = "system:serviceaccount:mcpfleet:mcpfleet";

struct KubeKind {
  std::string group, version, plural, kind;
  bool namespaced = true, custom = false, status = false;
  Json schema;
  std::string singular;
  Json short_names = Json::array(), categories = Json::array(), columns = Json::array();
};
std::vector<KubeKind> KubeKinds();
// A CustomResourceDefinition as JSON.
Json CrdJson(const std::string& file);

}  // namespace mcpfleet::testing
