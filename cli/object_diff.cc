#include "cli/object_diff.h"

#include <nlohmann/json.hpp>

#include "cli/text_diff.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

std::string Comparable(const Object* object) {
  if (object == nullptr) return "";
  Json json = ObjectToJson(*object);
  for (const char* assigned : {"uid", "generation", "creationTimestamp"}) json["metadata"].erase(assigned);
  return ObjectToYaml(json);
}

}  // namespace

std::string ObjectDiff(const Object* before, const Object* after, const std::string& before_name,
                       const std::string& after_name, bool color) {
  return UnifiedDiff(Comparable(before), Comparable(after), before_name, after_name, color);
}

}  // namespace mcpfleet::cli
