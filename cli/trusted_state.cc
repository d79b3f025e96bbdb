#include "cli/trusted_state.h"

#include "cli/trust_root.h"

namespace mcpfleet::cli {

StatusOr<StoredState> ReadTrustedState(Session& session, Deadline deadline) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(StoredState state, ReadState(*kv, deadline));
  if (!state.missing.empty()) return Unavailable("the store does not show all objects yet: " + state.missing.front());
  if (!state.head) return state;
  const Status trusted = TrustRootOf(session, *kv, *state.head, deadline).status();
  if (!trusted.ok()) return Annotate(trusted, "nothing is sealed by what this store says");
  session.SawHead(state.head->order);
  return state;
}

}  // namespace mcpfleet::cli
