#include "gitops/change_checks.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "crd/secret_spec.h"

namespace mcpfleet {

bool TouchesSecrets(const ChangeSet& changes) {
  return std::any_of(changes.set.begin(), changes.set.end(),
                     [](const Object& object) {
                       return object.kind == kKindSecret ||
                              (object.kind == kKindServer && !SecretNamesOf(object.spec).empty());
                     }) ||
         std::any_of(changes.remove.begin(), changes.remove.end(),
                     [](const ObjectKey& key) { return key.kind == kKindSecret; });
}

std::vector<std::string> SecretProblems(const Objects& stored, const ChangeSet& changes,
                                        const std::vector<std::string>& reporting) {
  Objects after = stored;
  std::vector<ObjectKey> changed = changes.remove;
  for (const ObjectKey& key : changes.remove) after.erase(key);
  for (const Object& object : changes.set) {
    changed.push_back(KeyOf(object));
    after[KeyOf(object)] = object;
  }
  std::set<std::string> nodes(reporting.begin(), reporting.end());
  for (const auto& [key, object] : after) {
    if (key.kind == kKindNode) nodes.insert(key.name);
  }
  return UnusableSecrets(after, changed, {nodes.begin(), nodes.end()});
}

Status JudgeSecretProblems(const std::vector<std::string>& problems) {
  if (problems.empty()) return OkStatus();
  return FailedPrecondition(std::to_string(problems.size()) +
                            (problems.size() == 1 ? " reference to a secret" : " references to secrets") +
                            " would not work; nothing was written");
}

const Object* FindReplicated(const ChangeSet& changes) {
  const auto found = std::find_if(changes.set.begin(), changes.set.end(), [](const Object& object) {
    return object.kind == kKindServer && GetMember(object.spec, "placement").contains("replicas");
  });
  return found == changes.set.end() ? nullptr : &*found;
}

Status JudgeReplicas(const Object& server, const Status& read) {
  const std::string what = ToLower(server.kind) + ".mcpfleet.dev/" + server.metadata.name + ": spec.placement.replicas";
  if (read.code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition(what +
                              ": this store does not tell its nodes which of them are down, so none would take a "
                              "replica; use a store with a Worker in front (docs/cloudflare.md), or leave replicas out "
                              "and name the nodes in placement.nodes");
  }
  return Annotate(read, what + ": asking the store which nodes are down");
}

}  // namespace mcpfleet
