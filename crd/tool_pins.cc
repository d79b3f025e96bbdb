#include "crd/tool_pins.h"

#include <algorithm>
#include <set>

namespace mcpfleet {

bool ListsAllow(const ToolsSpec& tools, std::string_view name) {
  const auto has = [&](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  return !has(tools.deny) && (tools.allow.empty() || has(tools.allow));
}

PinDifferences ComparePins(const std::map<std::string, std::string>& pins, const ToolHashes& listed) {
  std::set<std::string> changed, added, seen;
  for (const auto& [name, hash] : listed) {
    seen.insert(name);
    auto pin = pins.find(name);
    if (pin == pins.end()) {
      added.insert(name);
    } else if (pin->second != hash) {
      changed.insert(name);
    }
  }
  PinDifferences out;
  out.changed.assign(changed.begin(), changed.end());
  out.added.assign(added.begin(), added.end());
  for (const auto& [name, hash] : pins) {
    if (!seen.contains(name)) out.missing.push_back(name);
  }
  return out;
}

PinDifferences PinDifferencesOf(const ToolsSpec& tools, const ToolHashes& listed) {
  std::map<std::string, std::string> pins;
  ToolHashes usable;
  for (const auto& [name, hash] : tools.pins) {
    if (ListsAllow(tools, name)) pins.emplace(name, hash);
  }
  for (const auto& [name, hash] : listed) {
    if (ListsAllow(tools, name)) usable.emplace_back(name, hash);
  }
  return ComparePins(pins, usable);
}

bool PinsBroken(const ToolsSpec& tools, const ToolHashes& listed) {
  if (tools.pinning != ToolPinning::kBlock) return false;
  const PinDifferences differences = PinDifferencesOf(tools, listed);
  return !differences.changed.empty() || !differences.missing.empty();
}

}  // namespace mcpfleet
