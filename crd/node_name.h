// What nodes are called. In the fleet a name is a DNS label, as every name of an object: it is a key of the store, part
// of paths and subjects, and an MCPNode of that name is the node. Kubernetes calls its Nodes by DNS subdomains, up to
// 253 characters with dots; such a name is taken wherever a person or a pod names a node, and means the label that is
// made of it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

// `text` as a DNS label: what fits in it, cut to `most` characters; "" when nothing does.
std::string LabelFrom(std::string_view text, size_t most);

// A node's name in the fleet from that of its Node in Kubernetes. A DNS label stays as it is; of any other name the
// whole counts: "n1.a.example" is "n1-a-example-" and the first 8 digits of its SHA-256, so that no two nodes share a
// status, a lease or a join.
std::string NodeNameOf(const std::string& core_node);

// The same of what somebody wrote: InvalidArgument for what is neither a DNS label nor a DNS subdomain, as Kubernetes
// has it (at most 253 lower-case letters, digits, '-' and '.', each part between dots beginning and ending with a
// letter or digit). `what` names it in the error: "node", "--node".
StatusOr<std::string> ParseNodeName(const std::string& given, const std::string& what);

}  // namespace mcpfleet
