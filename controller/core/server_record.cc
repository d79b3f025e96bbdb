#include "controller/core/server_record.h"

namespace mcpfleet {

std::shared_ptr<const DesiredServer> SpecOf(const ServerRecord& record, const std::string& revision) {
  auto it = record.revisions.find(revision);
  return it == record.revisions.end() ? nullptr : it->second.spec;
}

Probes ProbesOf(const ServerRecord& record, const std::string& instance) {
  auto seen = record.seen.find(instance);
  std::shared_ptr<const DesiredServer> spec =
      seen == record.seen.end() ? nullptr : SpecOf(record, seen->second.revision);
  if (spec == nullptr) spec = record.current;
  return spec != nullptr ? spec->spec.probes : Probes{};
}

}  // namespace mcpfleet
