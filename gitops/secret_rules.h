// Who must be able to open a secret, and what of a change would not work for want of one. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crd/object.h"
#include "crd/secret_spec.h"

namespace mcpfleet {

using Objects = std::map<ObjectKey, Object>;

// The nodes that spec.placement of a secret means, with the keys of their MCPNode objects; by name. Also cordoned ones:
// they keep what they run.
std::vector<SecretRecipient> NodesOf(const Objects& objects, const Json& placement);
// spec.keys.sealing of a node's MCPNode; "" when it has none.
std::string SealingKeyOf(const Objects& objects, const std::string& node);

// What keeps a server from a secret, for people: "MCPServer default/weather: spec.env[TOKEN].valueFrom: secret github
// is not sealed to node edge-02; run: …". Of the servers in `changed`, and of those that use a secret in it, as they
// are in `after`. `nodes`: every node there is, whether it has an MCPNode or only reports.
std::vector<std::string> UnusableSecrets(const Objects& after, const std::vector<ObjectKey>& changed,
                                         const std::vector<std::string>& nodes);

// The servers that use a secret, by name.
std::vector<std::string> UsersOf(const Objects& objects, const std::string& namespace_, const std::string& secret);
// The secrets (namespace/name) whose data key was sealed to a node, by its name or its present key: what must be
// replaced when it is lost. One that can't be read counts as one that it could open.
std::vector<std::string> SecretsSealedTo(const Objects& objects, const std::string& node);

}  // namespace mcpfleet
