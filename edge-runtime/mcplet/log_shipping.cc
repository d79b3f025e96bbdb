#include "edge-runtime/mcplet/log_shipping.h"

#include <utility>

#include "base/strings.h"

namespace mcpfleet {
namespace {

// A chunk that can't be one: a Worker says so, everything else that there is no such place.
constexpr char kProbe[] = "probe-0";

}  // namespace

StatusOr<WorkerAnswer> WorkerChunkStore::Send(const std::string& name, std::string bytes,
                                              std::vector<std::pair<std::string, std::string>> headers,
                                              Deadline deadline) {
  if (api_ == nullptr) {
    ASSIGN_OR_RETURN(api_, connect_());
  }
  StatusOr<WorkerAnswer> answer = api_->PutBytes("/v1/logs/" + PercentEncode(node_) + "/" + name, "application/zstd",
                                                 std::move(bytes), std::move(headers), deadline);
  if (answer.status().code() == StatusCode::kUnauthenticated) api_.reset();
  return answer;
}

StatusOr<bool> WorkerChunkStore::Takes(Deadline deadline) {
  const Status status = Send(kProbe, "no chunk", {}, deadline).status();
  if (status.ok() || status.code() == StatusCode::kInvalidArgument) return true;
  if (status.code() == StatusCode::kFailedPrecondition || status.code() == StatusCode::kNotFound) return false;
  return status;
}

logship::PutAnswer WorkerChunkStore::Put(const std::string& name, std::string bytes, WallTime first, WallTime last,
                                         Deadline deadline) {
  const Status status =
      Send(name, std::move(bytes),
           {{"Mcpfleet-First", FormatTimeMillis(first)}, {"Mcpfleet-Last", FormatTimeMillis(last)}}, deadline)
          .status();
  return {.status = status, .retry_after = std::chrono::seconds(RetryAfterOf(status))};
}

StatusOr<std::unique_ptr<LogShipping>> LogShipping::Open(const Config& config, LogShippingDeps deps) {
  if (!config.logs.ship || config.store.embedded || config.store.cloudflare) return std::unique_ptr<LogShipping>();
  auto shipping = std::make_unique<LogShipping>(deps.events);
  shipping->store_ = std::make_unique<WorkerChunkStore>(config.node, std::move(deps.connect));
  const auto event = [&events = deps.events, node = config.node](std::string_view type, std::string_view reason,
                                                                 std::string_view message) {
    events.RecordNode(node, type, reason, message);
  };
  ASSIGN_OR_RETURN(shipping->shipper_, logship::LogShipper::Open({.directory = config.LogShipDirectory(),
                                                                  .boot_id = deps.boot_id,
                                                                  .spool_quota = config.logs.spool_quota_bytes,
                                                                  .interval = config.logs.interval,
                                                                  .seed = deps.seed},
                                                                 {.tails = deps.runtimes.tails,
                                                                  .store = *shipping->store_,
                                                                  .metrics = deps.metrics.logs(),
                                                                  .clock = deps.clock,
                                                                  .event = event,
                                                                  .live = std::move(deps.live)}));
  // A child may end while its instance goes on: the controller tells that as an event.
  shipping->listener_ = deps.events.Subscribe([shipper = shipping->shipper_.get()](const Event& told) {
    if (told.type == "Warning" && told.object.starts_with(kKindServer)) shipper->Hurry();
  });
  for (const auto& [kind, runtime] : deps.runtimes.all)
    shipping->shipped_[kind] = std::make_unique<logship::ShippedRuntime>(*runtime, *shipping->shipper_);
  return shipping;
}

LogShipping::~LogShipping() {
  if (listener_ != 0) events_.Unsubscribe(listener_);
}

std::map<RuntimeKind, ContainerRuntime*> LogShipping::Runtimes() const {
  std::map<RuntimeKind, ContainerRuntime*> pointers;
  for (const auto& [kind, runtime] : shipped_) pointers[kind] = runtime.get();
  return pointers;
}

void LogShipping::Describe(NodeFacts* facts) const {
  logship::ShipperState state = shipper_->state();
  facts->logs_shipped = state.phase == logship::ShipperState::Phase::kOn;
  facts->logs_waiting = std::move(state.failure);
  facts->logs_lost = std::move(state.loss);
}

}  // namespace mcpfleet
