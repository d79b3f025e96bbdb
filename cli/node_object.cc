#include "cli/node_object.h"

#include "cli/trusted_state.h"

namespace mcpfleet::cli {

StatusOr<ApplyResult> ChangeNodes(Session& session, const std::vector<std::string>& names, bool create,
                                  const std::string& message, const std::function<void(Object*)>& change) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const StoredState state, ReadTrustedState(session, deadline));
  ChangeSet changes;
  for (const std::string& name : names) {
    const ObjectKey key{kKindNode, "", name};
    Object node{.kind = kKindNode, .metadata = {.name = name, .namespace_ = ""}};
    if (auto it = state.objects.find(key); it != state.objects.end()) {
      node = it->second;
    } else if (state.entries.contains(key)) {
      // Written now, what it holds would be lost.
      return Unavailable("the MCPNode \"" + name + "\" is declared, and the store does not show it (yet); try again");
    } else if (!create) {
      continue;
    }
    change(&node);
    changes.set.push_back(std::move(node));
  }
  const WriteOptions options{.message = message, .author = Session::Author(), .sign = session.Signer()};
  ASSIGN_OR_RETURN(ApplyResult result, Apply(*kv, changes, options, session.clock(), deadline));
  if (result.head.has_value()) session.SawHead(result.head->order);
  return result;
}

}  // namespace mcpfleet::cli
