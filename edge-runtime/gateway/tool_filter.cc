#include "edge-runtime/gateway/tool_filter.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "edge-runtime/mcp/hidden_text.h"
#include "edge-runtime/mcp/tool_hash.h"

namespace mcpfleet::gateway {
namespace {

std::string Shown(std::string_view name) { return Printable(mcp::ShowHiddenCharacters(name), 128); }

}  // namespace

ToolFilter::ToolFilter(const ToolsSpec& spec)
    : allow_(spec.allow.begin(), spec.allow.end()),
      deny_(spec.deny.begin(), spec.deny.end()),
      pins_(spec.pins.begin(), spec.pins.end()),
      block_(spec.pinning == ToolPinning::kBlock),
      checks_(block_ || (spec.pinning == ToolPinning::kWarn && !spec.pins.empty())) {
  // Pinned names have their place whatever the server lists.
  if (!checks_) return;
  for (const auto& [name, hash] : pins_) seen_[name];
}

ToolFilter::Verdict ToolFilter::Judge(std::string_view name, const std::string& instance) const {
  if (deny_.contains(name) || (!allow_.empty() && !allow_.contains(name))) return Verdict::kDenied;
  if (!block_) return Verdict::kAllowed;
  auto pin = pins_.find(name);
  if (pin == pins_.end()) return Verdict::kNotPinned;
  auto seen = seen_.find(name);
  if (seen == seen_.end() || seen->second.hash.empty()) return Verdict::kNotSeen;
  const bool changed = seen->second.changed_in.contains(instance);
  return seen->second.hash == pin->second && !changed ? Verdict::kAllowed : Verdict::kChanged;
}

std::string ToolFilter::Refusal(std::string_view name, const std::string& instance) const {
  const std::string tool = "tool \"" + Shown(name) + "\": ";
  switch (Judge(name, instance)) {
    case Verdict::kAllowed:
      return "";
    case Verdict::kDenied:
      return tool + "is not allowed on this server";
    case Verdict::kNotPinned:
      return tool + "is not pinned, and this server offers pinned tools only";
    case Verdict::kNotSeen:
      return tool + "the server has not listed it yet";
    case Verdict::kChanged:
      return tool + "its definition has changed since it was pinned";
  }
  return tool + "is not allowed on this server";
}

std::vector<ToolFinding> ToolFilter::Learn(const ToolHashes& tools, const std::string& instance) {
  std::vector<ToolFinding> findings;
  if (checks_) Note(tools, instance, &findings);
  return findings;
}

void ToolFilter::Retain(const std::set<std::string>& instances) {
  for (auto& [name, seen] : seen_)
    std::erase_if(seen.changed_in, [&](const std::string& instance) { return !instances.contains(instance); });
}

bool ToolFilter::FilterList(Json* result, std::vector<ToolFinding>* findings, const std::string& instance) {
  if (passes_all() || !GetMember(*result, "tools").is_array()) return false;
  Json& tools = (*result)["tools"];
  ToolHashes hashes;
  for (const Json& tool : tools) {
    std::string name = GetString(tool, "name");
    if (name.empty()) continue;
    NoteHiddenText(tool, findings);
    if (checks_) hashes.emplace_back(std::move(name), mcp::ToolHash(tool));
  }
  Note(hashes, instance, findings);
  Json kept = Json::array();
  for (Json& tool : tools) {
    // What has no name can't be called, and nobody can say that it is allowed.
    const std::string name = GetString(tool, "name");
    if (!name.empty() && Judge(name, instance) == Verdict::kAllowed) kept.push_back(std::move(tool));
  }
  const bool took = kept.size() != tools.size();
  tools = std::move(kept);
  return took;
}

// Null for a name that is not remembered.
ToolFilter::Seen* ToolFilter::Remember(const std::string& name, std::vector<ToolFinding>* findings) {
  auto it = seen_.find(name);
  if (it != seen_.end()) return &it->second;
  if (seen_.size() < kMostNames && name.size() <= kLongestName) return &seen_[name];
  if (!std::exchange(too_many_reported_, true)) {
    findings->push_back({ToolFinding::Kind::kTooManyTools, "",
                         "more than " + std::to_string(kMostNames) + " tools, or names beyond " +
                             std::to_string(kLongestName) + " bytes: the others are not watched"});
  }
  return nullptr;
}

void ToolFilter::Note(const ToolHashes& tools, const std::string& instance, std::vector<ToolFinding>* findings) {
  // A name that is listed twice is as its worst definition: which of them a call reaches is the server's secret.
  std::map<std::string_view, std::string_view> worst;
  for (const auto& [name, hash] : tools) {
    auto pin = pins_.find(name);
    auto [it, inserted] = worst.emplace(name, hash);
    if (!inserted && pin != pins_.end() && it->second == pin->second) it->second = hash;
  }
  for (const auto& [name, hash] : worst) {
    const bool visible = !deny_.contains(name) && (allow_.empty() || allow_.contains(name));
    Seen* seen = Remember(std::string(name), findings);
    if (seen == nullptr) continue;
    seen->hash = hash;
    auto pin = pins_.find(name);
    if (block_ && pin != pins_.end() && pin->second != hash) seen->changed_in.insert(instance);
    if (!visible || (pin != pins_.end() && pin->second == hash)) continue;
    const std::string outcome = block_ ? "; clients can't use it" : "";
    if (pin == pins_.end()) {
      if (std::exchange(seen->unpinned_reported, true)) continue;
      findings->push_back(
          {ToolFinding::Kind::kNotPinned, Shown(name), "tool " + Shown(name) + " is not pinned" + outcome});
      continue;
    }
    if (seen->reported == hash || seen->reports >= kMostReports) continue;
    seen->reported = hash;
    ++seen->reports;
    findings->push_back({ToolFinding::Kind::kChanged, Shown(name),
                         "tool " + Shown(name) + " has changed since it was pinned" + outcome});
  }
}

void ToolFilter::NoteHiddenText(const Json& tool, std::vector<ToolFinding>* findings) {
  const std::vector<std::string> places = mcp::HiddenTextOf(tool);
  if (places.empty()) return;
  const std::string name = GetString(tool, "name");
  Seen* seen = Remember(name, findings);
  if (seen == nullptr || std::exchange(seen->hidden_reported, true)) return;
  findings->push_back({ToolFinding::Kind::kHiddenText, Shown(name), "hidden characters in " + Join(places, " and ")});
}

}  // namespace mcpfleet::gateway
