// Kubernetes as this node's configuration has it.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "store/kubernetes/source.h"

namespace mcpfleet {

// Null when Kubernetes is no source of this node. `looked`: whether all that runs here was looked at.
StatusOr<std::unique_ptr<kube::Source>> OpenClusterSource(const Config& config, const Clock& clock, uint64_t seed,
                                                          std::function<bool()> looked, kube::Source::OnState on_state);

}  // namespace mcpfleet
