#include "cli/trusted_state.h"

namespace mcpfleet::cli {

StatusOr<StoredState> ReadTrustedState(Session& session, Deadline deadline, ReadFor use) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(std::optional<Head> head, ReadTrustedHead(session, use, deadline));
  if (!head) return StoredState{};
  return ReadStateOf(*kv, *std::move(head), deadline);
}

}  // namespace mcpfleet::cli
