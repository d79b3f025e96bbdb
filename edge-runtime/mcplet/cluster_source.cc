#include "edge-runtime/mcplet/cluster_source.h"

#include <string>
#include <utility>

#include "base/version.h"

namespace mcpfleet {

StatusOr<std::unique_ptr<kube::Source>> OpenClusterSource(const Config& config, const Clock& clock, uint64_t seed,
                                                          std::function<bool()> looked,
                                                          kube::Source::OnState on_state) {
  if (!config.use_kubernetes) return std::unique_ptr<kube::Source>();
  ASSIGN_OR_RETURN(kube::Cluster cluster, kube::ResolveCluster(config.kubernetes, kube::ProcessEnvironment));
  return kube::Source::Open(std::move(cluster),
                            {.node = config.node,
                             .core_node = config.core_node,
                             .directory = config.KubernetesDirectory(),
                             .user_agent = std::string("mcplet/") + Version(),
                             .seed = seed,
                             .looked = std::move(looked),
                             .elector = {},
                             .shown = {}},
                            clock, std::move(on_state));
}

}  // namespace mcpfleet
