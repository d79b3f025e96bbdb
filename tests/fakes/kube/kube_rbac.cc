#include "tests/fakes/kube/kube_rbac.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "crd/manifest.h"

namespace mcpfleet::testing {
namespace {

bool Has(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end() ||
         std::find(list.begin(), list.end(), "*") != list.end();
}

std::vector<Json> Documents(std::string_view yaml) {
  std::vector<Json> out;
  std::string text(yaml);
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find("\n---", begin);
    if (end == std::string::npos) end = text.size();
    StatusOr<Json> json = ParseYaml(std::string_view(text).substr(begin, end - begin), "rbac", nullptr, nullptr);
    EXPECT_TRUE(json.ok()) << json.status();
    if (json.ok()) out.push_back(*std::move(json));
    begin = end == text.size() ? end : text.find('\n', end + 1) + 1;
  }
  return out;
}

}  // namespace

void Rbac::Add(std::string_view yaml) {
  const std::vector<Json> documents = Documents(yaml);
  for (const Json& document : documents) {
    const std::string kind = GetString(document, "kind");
    const Json& metadata = GetMember(document, "metadata");
    if (kind == "ClusterRole") roles_[kind + "/" + GetString(metadata, "name")] = document;
    if (kind == "Role")
      roles_[kind + "/" + GetString(metadata, "namespace") + "/" + GetString(metadata, "name")] = document;
  }
  for (const Json& document : documents) {
    const std::string kind = GetString(document, "kind");
    if (!kind.ends_with("Binding")) continue;
    const std::string space = kind == "RoleBinding" ? GetString(GetMember(document, "metadata"), "namespace") : "";
    const Json& ref = GetMember(document, "roleRef");
    const std::string role = GetString(ref, "kind");
    const auto found = roles_.find(role == "Role" ? role + "/" + space + "/" + GetString(ref, "name")
                                                  : role + "/" + GetString(ref, "name"));
    EXPECT_NE(found, roles_.end()) << DumpJson(ref);
    if (found == roles_.end()) continue;
    for (const Json& subject : GetMember(document, "subjects")) {
      const std::string user =
          "system:serviceaccount:" + GetString(subject, "namespace") + ":" + GetString(subject, "name");
      for (const Json& rule : GetMember(found->second, "rules")) {
        rules_[user].push_back({StringsOf(GetMember(rule, "verbs")), StringsOf(GetMember(rule, "apiGroups")),
                                StringsOf(GetMember(rule, "resources")), StringsOf(GetMember(rule, "resourceNames")),
                                space});
      }
    }
  }
}

void Rbac::Remove(const std::string& resource) {
  for (auto& [user, rules] : rules_)
    std::erase_if(rules, [&](const Rule& rule) { return Has(rule.resources, resource); });
}

bool Rbac::Allows(const std::string& user, const Access& access) const {
  const auto found = rules_.find(user);
  if (found == rules_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Rule& rule) {
    return Has(rule.verbs, access.verb) && Has(rule.groups, access.group) && Has(rule.resources, access.resource) &&
           (rule.names.empty() || Has(rule.names, access.name)) &&
           (rule.namespace_.empty() || rule.namespace_ == access.namespace_);
  });
}

}  // namespace mcpfleet::testing
