#include "controller/core/client_target.h"

#include <tuple>

#include "controller/core/executor.h"

namespace mcpfleet {
namespace {

bool IsTrue(const ServerStatus& status, std::string_view type) {
  const Condition* condition = FindCondition(status.conditions, type);
  return condition != nullptr && condition->status == ConditionStatus::kTrue;
}

void FillInstance(const InstanceView& serving, const ClientInput& input, ClientTarget* target) {
  const ServerSpec& spec = target->server->spec;
  target->instance = serving.report.id;
  target->attached = !serving.report.attached.empty();
  if (spec.transport != Transport::kStdio) {
    target->url = "http://127.0.0.1:" + std::to_string(spec.port) + spec.path;
    target->network_pid = spec.security.network == NetworkMode::kHost ? 0 : serving.report.pid;
    return;
  }
  const bool known = input.artifact.phase == ArtifactState::Phase::kReady;
  if (known || !spec.command.empty()) target->argv = ArgvOf(spec, input.artifact.artifact);
}

}  // namespace

std::optional<ClientTarget> ClientTargetFor(const ClientInput& input) {
  const Observed& observed = *input.observed;
  const InstanceView* serving = ServingInstance(input.desired.get(), observed);
  const bool usable = input.desired != nullptr && !OnHold(*input.desired);
  const bool suspended = usable && input.desired->spec.suspend;
  const bool remote = usable && IsRemote(*input.desired);
  const bool leaves = input.desired == nullptr && observed.removals_allowed;
  const bool asleep = usable && observed.sleep.phase == SleepState::Phase::kAsleep;
  const bool runs = !remote && !suspended && !asleep && serving != nullptr && MainRuns(*serving);
  ClientTarget target;
  if (runs) target.server = input.serving;
  const bool has_instance = target.server != nullptr;
  for (const auto& spec : {input.desired, input.current}) {
    if (target.server == nullptr) target.server = spec;
  }
  if (target.server == nullptr) return std::nullopt;
  const ProbeState& probe = has_instance && serving != nullptr ? serving->probe : observed.probe;
  target.modern = probe.handshake ? probe.last.modern : observed.sleep.last.modern;
  target.tool_hashes = (probe.handshake ? probe.last : observed.sleep.last).catalog.tool_hashes;
  if (remote) target.url = std::get<RemoteSource>(input.desired->spec.source).url;
  if (has_instance) FillInstance(*serving, input, &target);
  target.sleeping = usable && !remote && Sleeps(*input.desired, observed);
  target.ready = (remote || has_instance) && !suspended && !leaves && !target.sleeping &&
                 IsTrue(*input.status, "Available") && IsTrue(*input.status, "Verified");
  if (const Condition* ready = FindCondition(input.status->conditions, "Ready")) {
    target.reason = ready->reason;
    target.message = ready->message;
    const Condition* pinned = FindCondition(input.status->conditions, "ToolsPinned");
    const bool broken =
        pinned != nullptr && pinned->status == ConditionStatus::kFalse && ready->reason == pinned->reason;
    target.healthy = target.sleeping || (target.ready && !broken);
  }
  return target;
}

bool SameTarget(const std::optional<ClientTarget>& a, const std::optional<ClientTarget>& b) {
  if (a.has_value() != b.has_value()) return false;
  const auto parts = [](const ClientTarget& t) {
    return std::tie(t.server, t.ready, t.healthy, t.reason, t.modern, t.instance, t.url, t.network_pid, t.argv,
                    t.attached, t.sleeping, t.tool_hashes);
  };
  return !a || parts(*a) == parts(*b);
}

}  // namespace mcpfleet
