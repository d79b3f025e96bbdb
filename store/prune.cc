#include "store/prune.h"

namespace mcpfleet {
namespace {

bool Owns(const PruneRule& rule, const ObjectKey& key, const Object& object) {
  const std::string owner = ApplySetOf(object);
  if (!rule.apply_set.empty()) return owner == rule.apply_set;
  return owner.empty() && rule.places.contains({key.kind, key.namespace_}) &&
         rule.selector.Matches(object.metadata.labels);
}

}  // namespace

Status CheckShare(size_t doomed, size_t owned, const PruneLimit& limit, const std::string& owner) {
  if (limit.force || doomed * 100 <= owned * static_cast<size_t>(limit.most_percent)) return OkStatus();
  return FailedPrecondition("pruning would delete " + std::to_string(doomed) + " of the " + std::to_string(owned) +
                            (owned == 1 ? " object of " : " objects of ") + owner + ", more than " +
                            std::to_string(limit.most_percent) +
                            " %; nothing was written. If that is what is wanted: --force, or another --max-prune");
}

std::string ApplySetOf(const Object& object) {
  auto label = object.metadata.labels.find(kApplySetLabel);
  return label == object.metadata.labels.end() ? "" : label->second;
}

StatusOr<std::vector<ObjectKey>> DecidePrune(const std::map<ObjectKey, Object>& stored,
                                             const std::set<ObjectKey>& named, const PruneRule& rule) {
  std::vector<ObjectKey> doomed;
  size_t owned = 0;
  for (const auto& [key, object] : stored) {
    if (!Owns(rule, key, object)) continue;
    ++owned;
    if (!named.contains(key)) doomed.push_back(key);
  }
  const std::string owner = rule.apply_set.empty() ? "selector " + rule.selector_text : "apply set " + rule.apply_set;
  RETURN_IF_ERROR(CheckShare(doomed.size(), owned, rule.limit, owner));
  return doomed;
}

}  // namespace mcpfleet
