#include "cli/replicas.h"

#include "gitops/change_checks.h"

namespace mcpfleet::cli {

StatusOr<DownList> ReadDownList(Session& session, Deadline deadline) {
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(WorkerAnswer answer, worker->Get("/v1/down", deadline));
  return ParseDownList(answer.result);
}

Status CheckReplicas(Session& session, const ChangeSet& changes, Deadline deadline) {
  const Object* replicated = FindReplicated(changes);
  if (replicated == nullptr) return OkStatus();
  return JudgeReplicas(*replicated, ReadDownList(session, deadline).status());
}

}  // namespace mcpfleet::cli
