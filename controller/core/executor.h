// Carries out one action as one call to a port, with a deadline, a metric and, where people care, an event.
// Knows nothing of why. What only changes the record, PullArtifact, Verify, Ping and WaitUntil are not here: they
// belong to the reconciler. Thread-safe; for one server from one thread at a time.
#pragma once

#include "base/status.h"
#include "controller/core/controller.h"
#include "controller/core/instance_cache.h"
#include "controller/core/plan.h"

namespace mcpfleet {

// What the actions of one plan are about.
struct ExecutionContext {
  ServerKey key;
  const DesiredServer* desired = nullptr;
  const Observed* observed = nullptr;
};

class Executor {
 public:
  Executor(const ControllerDeps& deps, InstanceCache& cache) : deps_(deps), cache_(cache) {}
  Status Execute(const Action& action, const ExecutionContext& context);

 private:
  Status Do(const CreateInstance& action, const ExecutionContext& context);
  Status Do(const StartInstance& action, const ExecutionContext& context);
  Status Do(const ExpectShim& action, const ExecutionContext& context);
  Status Do(const StartMain& action, const ExecutionContext& context);
  Status Do(const StopMain& action, const ExecutionContext& context);
  Status Do(const StopInstance& action, const ExecutionContext& context);
  Status Do(const RemoveInstance& action, const ExecutionContext& context);
  Status Do(const ForgetInstance& action, const ExecutionContext& context);
  template <typename Call>
  Status Measured(const char* operation, Call call);
  ContainerRuntime* RuntimeOf(RuntimeKind kind) const;

  const ControllerDeps& deps_;
  InstanceCache& cache_;
};

// What the main child is started with.
std::vector<std::string> ArgvOf(const ServerSpec& spec, const Artifact& artifact);

}  // namespace mcpfleet
