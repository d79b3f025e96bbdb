// The PyPI half of PackageCache.
#include "edge-runtime/process/package_cache.h"

namespace mcpfleet {

StatusOr<Artifact> PackageCache::PullPypi(const PackageSource&, const Progress&, Deadline) {
  return Unimplemented("manager pypi is not there yet");
}

}  // namespace mcpfleet
