#include "store/kubernetes/node_life.h"

namespace mcpfleet::kube {

bool IsGone(const LifeSigns& signs, const LifeLimits& limits) {
  if (!IsSilent(signs, limits)) return false;
  const bool old = signs.lease_age.value_or(signs.silent_for) >= limits.gone_after;
  if (!signs.on_core_node) return old;
  switch (signs.core_node) {
    case CoreNode::kAbsent:
      return true;
    case CoreNode::kForbidden:
      return old;
    case CoreNode::kNotAsked:
    case CoreNode::kThere:
      return false;
  }
  return false;
}

}  // namespace mcpfleet::kube
