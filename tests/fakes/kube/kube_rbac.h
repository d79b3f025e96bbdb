// RBAC as an API server judges it: Roles, ClusterRoles and their bindings to service accounts, read from manifests.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::testing {

struct Access {
  std::string verb, group, resource, namespace_, name;  // resource with its subresource: "mcpservers/status"
};

class Rbac {
 public:
  // Manifests with `---` between them. Anything that is no role or binding is passed over.
  void Add(std::string_view yaml);
  // Rules end that name this resource, of all users.
  void Remove(const std::string& resource);
  // `user`: "system:serviceaccount:<namespace>:<name>".
  bool Allows(const std::string& user, const Access& access) const;

 private:
  struct Rule {
    std::vector<std::string> verbs, groups, resources, names;
    std::string namespace_;  // "" everywhere
  };
  std::map<std::string, Json> roles_;               // "ClusterRole/mcpfleet", "Role/<namespace>/<name>"
  std::map<std::string, std::vector<Rule>> rules_;  // by user
};

}  // namespace mcpfleet::testing
