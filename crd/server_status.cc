#include "crd/server_status.h"

#include <algorithm>

namespace mcpfleet {

bool SetCondition(std::vector<Condition>* conditions, Condition condition, WallTime now) {
  auto it = std::find_if(conditions->begin(), conditions->end(),
                         [&](const Condition& c) { return c.type == condition.type; });
  if (it == conditions->end()) {
    condition.last_transition_time = now;
    conditions->push_back(std::move(condition));
    return true;
  }
  bool same = it->status == condition.status;
  condition.last_transition_time = same ? it->last_transition_time : now;
  bool changed = !same || it->reason != condition.reason || it->message != condition.message ||
                 it->observed_generation != condition.observed_generation;
  *it = std::move(condition);
  return changed;
}

const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type) {
  for (const Condition& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

}  // namespace mcpfleet
