#include "edge-runtime/mcp/tool_hash.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace mcpfleet::mcp {
namespace {

// 1.0 and 1 are the same number in JavaScript, where most of these lists are made.
void UnifyNumbers(Json* value) {
  if (value->is_number_float()) {
    double number = value->get<double>();
    if (std::nearbyint(number) == number && std::abs(number) < 9007199254740992.0)
      *value = static_cast<int64_t>(number);
    return;
  }
  if (value->is_structured()) {
    for (Json& member : *value) UnifyNumbers(&member);
  }
}

}  // namespace

std::string CanonicalJson(const Json& value) {
  Json copy = value;
  UnifyNumbers(&copy);
  return DumpJson(copy);
}

std::string ToolHash(const Json& tool) {
  Json copy = tool;
  if (copy.is_object()) copy.erase("icons");
  return "sha256:" + Sha256Hex(CanonicalJson(copy));
}

bool ToolList::Add(const Json& tool) {
  std::string name = GetString(tool, "name");
  if (name.empty()) return false;
  entries_.push_back({std::move(name), ToolHash(tool)});
  return true;
}

std::vector<ToolList::Entry> ToolList::Sorted() const {
  std::vector<Entry> sorted = entries_;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<std::string> ToolList::SortedNames() const {
  std::vector<std::string> names;
  for (Entry& entry : Sorted()) names.push_back(std::move(entry.name));
  return names;
}

std::vector<std::pair<std::string, std::string>> ToolList::SortedHashes() const {
  std::vector<std::pair<std::string, std::string>> hashes;
  for (Entry& entry : Sorted()) hashes.emplace_back(std::move(entry.name), std::move(entry.hash));
  return hashes;
}

std::string ToolList::Hash() const {
  // As JSON, so that no name can imitate a separator.
  Json pairs = Json::array();
  for (const Entry& entry : Sorted()) pairs.push_back(Json::array({entry.name, entry.hash}));
  return "sha256:" + Sha256Hex(DumpJson(pairs));
}

}  // namespace mcpfleet::mcp
