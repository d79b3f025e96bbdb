#include "cli/replicas.h"

#include <algorithm>

#include "cli/resource.h"
#include "controller/placement/place.h"

namespace mcpfleet::cli {

StatusOr<DownList> ReadDownList(Session& session, Deadline deadline) {
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(WorkerAnswer answer, worker->Get("/v1/down", deadline));
  return ParseDownList(answer.result);
}

Status CheckReplicas(Session& session, const ChangeSet& changes, Deadline deadline) {
  const auto replicated = std::find_if(changes.set.begin(), changes.set.end(), [](const Object& object) {
    return object.kind == kKindServer && GetMember(object.spec, "placement").contains("replicas");
  });
  if (replicated == changes.set.end()) return OkStatus();
  const std::string what = Described(KeyOf(*replicated)) + ": spec.placement.replicas";
  const Status read = ReadDownList(session, deadline).status();
  if (read.code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition(what +
                              ": this store does not tell its nodes which of them are down, so none would take a "
                              "replica; use a store with a Worker in front (docs/cloudflare.md), or leave replicas out "
                              "and name the nodes in placement.nodes");
  }
  return Annotate(read, what + ": asking the store which nodes are down");
}

}  // namespace mcpfleet::cli
