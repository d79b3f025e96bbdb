#include "edge-runtime/mcplet/node_admin.h"

#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

// Two scrapes within this time share one measurement.
constexpr Duration kUsageAge = std::chrono::seconds(1);
constexpr Duration kUsageTimeout = std::chrono::seconds(5);

}  // namespace

std::vector<ReadyCheck> NodeAdmin::Ready() {
  bool synced = deps_.controller.Synced();
  std::vector<ReadyCheck> checks{
      {"controller", synced, synced ? "" : "not every runtime was listed and every server looked at yet"}};
  for (const Condition& condition : deps_.publisher.Current().conditions) {
    if (condition.type == "RuntimeReady")
      checks.push_back({"runtime", condition.status == ConditionStatus::kTrue, condition.message});
  }
  return checks;
}

NodeStatus NodeAdmin::GetStatus() { return deps_.publisher.Current(); }

void NodeAdmin::Measure() {
  std::map<std::string, InstanceUsage> usage;
  for (const auto& [kind, runtime] : deps_.runtimes) {
    auto measured = runtime->Usage(Deadline::After(kUsageTimeout));
    if (!measured.ok()) continue;  // an engine that is away has no figures
    for (InstanceUsage& one : *measured) usage[one.id] = one;
  }
  for (const ServerStatus& status : deps_.controller.Statuses()) {
    for (const InstanceSummary& instance : status.instances) {
      if (auto it = usage.find(instance.id); it != usage.end()) {
        deps_.metrics.SetServerUsage(status.key, it->second.memory_bytes, it->second.cpu_seconds);
      }
    }
  }
}

std::string NodeAdmin::Metrics() {
  bool due = false;
  {
    MutexLock lock(&mu_);
    due = measured_at_ == MonoTime{} || deps_.clock.Now() - measured_at_ >= kUsageAge;
    if (due) measured_at_ = deps_.clock.Now();
  }
  if (due) Measure();
  return deps_.metrics.Serialize();
}

std::vector<Event> NodeAdmin::Events(const std::optional<ServerKey>& server) { return deps_.events.List(server); }

std::function<void()> NodeAdmin::WatchEvents(std::function<void(const Event&)> listener) {
  int64_t id = deps_.events.Subscribe(std::move(listener));
  return [this, id] { deps_.events.Unsubscribe(id); };
}

Status NodeAdmin::Logs(const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
                       Deadline deadline) {
  ASSIGN_OR_RETURN(InstanceReport instance, deps_.controller.InstanceOf(server));
  auto runtime = deps_.runtimes.find(instance.runtime);
  if (runtime == deps_.runtimes.end())
    return Unavailable("the runtime of " + ToString(server) + " is not in use on this node");
  return runtime->second->Logs(instance.id, options, std::move(sink), deadline);
}

StatusOr<nlohmann::json> NodeAdmin::Call(const ServerKey& server, const std::string& method,
                                         const nlohmann::json& params, Deadline deadline) {
  ASSIGN_OR_RETURN(ProbeTarget target, deps_.controller.TargetOf(server));
  return deps_.prober.Call(target, method, params, deadline);
}

}  // namespace mcpfleet
