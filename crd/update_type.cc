// How a server is replaced by its next revision when its spec does not say.
#include <algorithm>

#include "crd/server_spec.h"

namespace mcpfleet {

UpdateType UpdateTypeOf(const ServerSpec& spec) {
  if (spec.update_strategy.type) return *spec.update_strategy.type;
  const bool writes = std::any_of(spec.volumes.begin(), spec.volumes.end(),
                                  [](const Volume& volume) { return !volume.host_path.empty() && !volume.read_only; });
  const bool one_port = spec.transport != Transport::kStdio && spec.security.network == NetworkMode::kHost;
  return writes || one_port ? UpdateType::kRecreate : UpdateType::kRollingUpdate;
}

}  // namespace mcpfleet
