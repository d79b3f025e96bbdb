#include "edge-runtime/logship/shipped_runtime.h"

namespace mcpfleet::logship {
namespace {

// Local files take milliseconds, an engine's stream ends soon after its container.
constexpr Duration kFinish = std::chrono::seconds(2);

}  // namespace

StatusOr<std::vector<InstanceReport>> ShippedRuntime::List(Deadline deadline) {
  StatusOr<std::vector<InstanceReport>> listed = runtime_.List(deadline);
  if (listed.ok()) shipper_.SetInstances(kind(), *listed);
  return listed;
}

StatusOr<std::optional<InstanceReport>> ShippedRuntime::Look(const std::string& id, Deadline deadline) {
  StatusOr<std::optional<InstanceReport>> found = runtime_.Look(id, deadline);
  if (found.ok()) shipper_.SetInstance(kind(), id, *found);
  return found;
}

Status ShippedRuntime::Start(const std::string& id, Deadline deadline) {
  shipper_.Finish(id, deadline.AtMost(kFinish));
  return runtime_.Start(id, deadline);
}

Status ShippedRuntime::Remove(const std::string& id, Deadline deadline) {
  shipper_.Finish(id, deadline.AtMost(kFinish));
  return runtime_.Remove(id, deadline);
}

}  // namespace mcpfleet::logship
