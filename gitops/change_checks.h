// What a change would need that is not in it: secrets that can be opened where they are used, a store that knows which
// nodes are down. mcpctl and a sync ask the same. Pure: who asks has read what there is.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "gitops/secret_rules.h"
#include "store/writer.h"

namespace mcpfleet {

// Whether a change can matter to a secret, or needs one.
bool TouchesSecrets(const ChangeSet& changes);
// Each reference to a secret that would not work after the change, as UnusableSecrets says it. `reporting`: names of
// the nodes that report to the store, besides those with an MCPNode.
std::vector<std::string> SecretProblems(const Objects& stored, const ChangeSet& changes,
                                        const std::vector<std::string>& reporting);
// FailedPrecondition with their number, OK for none.
Status JudgeSecretProblems(const std::vector<std::string>& problems);

// A server of the change that has replicas, null when there is none: then the store must tell which nodes are down.
const Object* FindReplicated(const ChangeSet& changes);
// `read`: what asking for that list gave. FailedPrecondition for a store that has none: no node would ever take one.
Status JudgeReplicas(const Object& server, const Status& read);

}  // namespace mcpfleet
