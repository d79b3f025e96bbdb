#include "controller/core/executor.h"

#include <type_traits>

#include "base/log.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// Engines take seconds under load, never minutes; a call that hangs gives its worker back.
constexpr Duration kRuntimeTimeout = seconds(60);
constexpr Duration kStartMainTimeout = seconds(20);
// Past the grace: the kernel needs a moment to end a tree.
constexpr Duration kStopMargin = seconds(20);

template <typename T, typename... Ts>
constexpr bool kIsOneOf = (std::is_same_v<T, Ts> || ...);

}  // namespace

std::vector<std::string> ArgvOf(const ServerSpec& spec, const Artifact& artifact) {
  std::vector<std::string> argv = spec.command.empty() ? artifact.entrypoint : spec.command;
  const std::vector<std::string>& args = spec.args.empty() && spec.command.empty() ? artifact.default_args : spec.args;
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

Status Executor::Execute(const Action& action, const ExecutionContext& context) {
  LOG_DEBUG("action", {{"server", ToString(context.key)}, {"action", ToString(action)}});
  Status status = std::visit(
      [&](const auto& a) -> Status {
        using T = std::decay_t<decltype(a)>;
        if constexpr (kIsOneOf<T, PullArtifact, Verify, Ping, BeginDrain, ResumeOld, BeginRollout, UndoRollout,
                               GoToSleep, WakeUp, Also, WaitUntil>) {
          return Internal("not an action of the executor");
        } else {
          return Do(a, context);
        }
      },
      action);
  return Annotate(status, ToString(action));
}

template <typename Call>
Status Executor::Measured(const char* operation, Call call) {
  const MonoTime start = deps_.clock.Now();
  Status status = call();
  deps_.metrics.RuntimeOperation(operation, status.ok(), deps_.clock.Now() - start);
  return status;
}

ContainerRuntime* Executor::RuntimeOf(RuntimeKind kind) const {
  auto it = deps_.runtimes.find(kind);
  return it == deps_.runtimes.end() ? nullptr : it->second;
}

Status Executor::Do(const CreateInstance& action, const ExecutionContext& context) {
  ContainerRuntime* runtime = RuntimeOf(context.observed->runtime);
  if (runtime == nullptr || context.desired == nullptr) return Internal("nothing to create it from");
  cache_.NoteOwner(action.instance, context.key);
  StatusOr<std::string> directory = deps_.sessions.Prepare(action.instance);
  if (!directory.ok()) return Annotate(directory.status(), "shim directory");
  InstanceSpec spec;
  spec.id = action.instance;
  spec.server = context.key;
  spec.uid = context.desired->uid;
  spec.generation = context.desired->generation;
  spec.revision = context.desired->revision;
  spec.spec = context.desired->spec;
  spec.artifact = context.observed->artifact.artifact;
  spec.shim_directory = *directory;
  RETURN_IF_ERROR(Measured("Create", [&] { return runtime->Create(spec, Deadline::After(kRuntimeTimeout)); }));
  deps_.events.Record(context.key, "Normal", "Created", "created instance " + action.instance);
  return OkStatus();
}

Status Executor::Do(const StartInstance& action, const ExecutionContext& context) {
  ContainerRuntime* runtime = RuntimeOf(action.runtime);
  if (runtime == nullptr) return Unavailable("its runtime is not configured");
  RETURN_IF_ERROR(Measured("Start", [&] { return runtime->Start(action.instance, Deadline::After(kRuntimeTimeout)); }));
  deps_.events.Record(context.key, "Normal", "Started", "started instance " + action.instance);
  return OkStatus();
}

Status Executor::Do(const ExpectShim& action, const ExecutionContext&) {
  RETURN_IF_ERROR(deps_.sessions.Prepare(action.instance).status());
  deps_.sessions.Expect(action.instance, action.pid);
  return OkStatus();
}

Status Executor::Do(const StartMain& action, const ExecutionContext& context) {
  const DesiredServer* server = action.previous ? context.observed->previous.get() : context.desired;
  const ArtifactState& artifact = action.previous ? context.observed->previous_artifact : context.observed->artifact;
  if (server == nullptr) return Internal("no spec to start it by");
  // Opened for this call only.
  ASSIGN_OR_RETURN(const OpenedEnv env, OpenEnv(*server));
  ASSIGN_OR_RETURN(const std::vector<OpenedFile> files, OpenFiles(*server));
  RETURN_IF_ERROR(deps_.sessions.PutFiles(action.instance, files));
  Status status = Measured("StartMain", [&] {
    return deps_.sessions.StartMain(action.instance, ArgvOf(server->spec, artifact.artifact), env.vars,
                                    server->spec.transport, Deadline::After(kStartMainTimeout));
  });
  // A child that could not be executed has ended: the back-off of ended children applies, not that of failed calls.
  if (!status.ok() && deps_.sessions.Main(action.instance).phase == MainState::Phase::kExited) return OkStatus();
  return status;
}

Status Executor::Do(const StopMain& action, const ExecutionContext& context) {
  if (!action.restart_reason.empty()) {
    deps_.events.Record(context.key, "Warning", action.restart_reason, action.message);
  }
  Status status = Measured("StopMain", [&] {
    return deps_.sessions.StopMain(action.instance, action.grace, Deadline::After(action.grace + kStopMargin));
  });
  // Before its instance stops this is a courtesy: an instance whose shim is away is stopped all the same.
  if (!status.ok() && action.restart_reason.empty() && !action.for_sleep) {
    LOG_WARNING("main child could not be ended first",
                {{"server", ToString(context.key)}, {"instance", action.instance}, {"error", status}});
    return OkStatus();
  }
  return status;
}

Status Executor::Do(const StopInstance& action, const ExecutionContext& context) {
  ContainerRuntime* runtime = RuntimeOf(action.runtime);
  if (runtime == nullptr) return Unavailable("its runtime is not configured");
  if (!action.restart_reason.empty()) {
    deps_.events.Record(context.key, "Warning", action.restart_reason, action.message);
  }
  RETURN_IF_ERROR(Measured("Stop", [&] {
    return runtime->Stop(action.instance, action.grace, Deadline::After(action.grace + kStopMargin));
  }));
  deps_.events.Record(context.key, "Normal", "Stopped", "stopped instance " + action.instance);
  return OkStatus();
}

Status Executor::Do(const RemoveInstance& action, const ExecutionContext& context) {
  ContainerRuntime* runtime = RuntimeOf(action.runtime);
  if (runtime == nullptr) return Unavailable("its runtime is not configured");
  RETURN_IF_ERROR(
      Measured("Remove", [&] { return runtime->Remove(action.instance, Deadline::After(kRuntimeTimeout)); }));
  if (context.desired == nullptr && !context.observed->known) deps_.metrics.OrphanReaped();
  return OkStatus();
}

Status Executor::Do(const ForgetInstance& action, const ExecutionContext&) {
  deps_.prober.Forget(action.instance);
  deps_.sessions.Forget(action.instance);
  return OkStatus();
}

}  // namespace mcpfleet
