#include "controller/placement/place.h"

#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

bool Named(const Json& nodes, std::string_view node) {
  for (const Json& name : nodes) {
    if (name.is_string() && name.get_ref<const std::string&>() == node) return true;
  }
  return false;
}

bool Selected(const Json& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.items()) {
    auto it = labels.find(key);
    if (it == labels.end() || !value.is_string() || value.get_ref<const std::string&>() != it->second) return false;
  }
  return true;
}

}  // namespace

bool Place(const Json& placement, std::string_view node, const Labels& node_labels, bool unschedulable) {
  if (unschedulable) return false;
  if (placement.is_null()) return true;
  if (!placement.is_object()) return false;
  for (const auto& [field, value] : placement.items()) {
    if (field == "nodes") {
      // An empty list names nobody in particular, as an empty selector selects everybody.
      if (!value.is_array() || (!value.empty() && !Named(value, node))) return false;
    } else if (field == "nodeSelector") {
      if (!value.is_object() || !Selected(value, node_labels)) return false;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace mcpfleet
