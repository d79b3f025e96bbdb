// A runtime whose instances' logs are shipped: what it reports is told to the shipper, and before a log goes (its
// instance is removed, or started again) the shipper reads and seals the rest of it, for a moment at most. All else is
// the runtime's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controller/ports/container_runtime.h"
#include "edge-runtime/logship/log_shipper.h"

namespace mcpfleet::logship {

class ShippedRuntime final : public ContainerRuntime {
 public:
  // Both outlive it.
  ShippedRuntime(ContainerRuntime& runtime, LogShipper& shipper) : runtime_(runtime), shipper_(shipper) {}

  RuntimeKind kind() const override { return runtime_.kind(); }
  RuntimeCheck Check(Deadline deadline) override { return runtime_.Check(deadline); }
  bool Supports(const ServerSpec& spec) const override { return runtime_.Supports(spec); }
  StatusOr<std::vector<InstanceReport>> List(Deadline deadline) override;
  StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) override;
  std::string WhyNoSecrets(const ServerSpec& spec) const override { return runtime_.WhyNoSecrets(spec); }
  StatusOr<Artifact> PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                            std::function<void(const PullProgress&)> progress, Deadline deadline) override {
    return runtime_.PullAs(credentials, spec, std::move(progress), deadline);
  }
  StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                          Deadline deadline) override {
    return runtime_.Pull(spec, std::move(progress), deadline);
  }
  Status Create(const InstanceSpec& spec, Deadline deadline) override { return runtime_.Create(spec, deadline); }
  Status Start(const std::string& id, Deadline deadline) override;
  Status Stop(const std::string& id, Duration grace, Deadline deadline) override {
    return runtime_.Stop(id, grace, deadline);
  }
  Status Remove(const std::string& id, Deadline deadline) override;
  Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                     Deadline deadline) override {
    return runtime_.WatchEvents(std::move(changed), std::move(stop), deadline);
  }
  StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) override { return runtime_.Usage(deadline); }
  Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override {
    return runtime_.Logs(id, options, std::move(sink), deadline);
  }
  StatusOr<int64_t> ArtifactBytes(Deadline deadline) override { return runtime_.ArtifactBytes(deadline); }
  Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) override {
    return runtime_.CollectArtifacts(keep, quota_bytes, deadline);
  }

 private:
  ContainerRuntime& runtime_;
  LogShipper& shipper_;
};

}  // namespace mcpfleet::logship
