#include "edge-runtime/mcp/era.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace mcpfleet::mcp {
namespace {

constexpr std::array<std::string_view, 5> kLegacyVersions = {"2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18",
                                                             "2025-11-25"};

// Judges a list of revisions that a server says it supports.
EraVerdict Choose(const Json& versions) {
  std::vector<std::string> shown;
  bool legacy = false;
  for (const Json& version : versions) {
    if (!version.is_string()) continue;
    const std::string& text = version.get_ref<const std::string&>();
    if (IsModernVersion(text)) return {Era::kModern, ""};
    legacy = legacy || IsLegacyVersion(text);
    if (shown.size() < 8) shown.push_back(Printable(text, 40));
  }
  if (legacy) return {Era::kLegacy, ""};
  return {Era::kUnknown, "the server supports only protocol " + Join(shown, ", ") + "; mcpfleet speaks " +
                             std::string(kModernVersion) + " and " + std::string(kLegacyVersion) + " or older"};
}

bool IsFilledArray(const Json& value) { return value.is_array() && !value.empty(); }

}  // namespace

std::string_view ToString(Era era) {
  switch (era) {
    case Era::kUnknown:
      return "";
    case Era::kLegacy:
      return "legacy";
    case Era::kModern:
      return "modern";
  }
  return "";
}

Era EraFromString(std::string_view text) {
  if (text == "legacy") return Era::kLegacy;
  return text == "modern" ? Era::kModern : Era::kUnknown;
}

bool IsLegacyVersion(std::string_view version) {
  return std::find(kLegacyVersions.begin(), kLegacyVersions.end(), version) != kLegacyVersions.end();
}

bool IsModernVersion(std::string_view version) { return version == kModernVersion; }

EraVerdict JudgeDiscover(const Message& answer) {
  if (answer.kind == MessageKind::kResult) {
    const Json& supported = GetMember(answer.result, "supportedVersions");
    return IsFilledArray(supported) ? Choose(supported) : EraVerdict{Era::kLegacy, ""};
  }
  if (answer.kind == MessageKind::kError) {
    // Only with the data the specification demands: old servers use the reserved numbers for something else.
    const Json& supported = GetMember(answer.error_data, "supported");
    if (answer.error_code == kUnsupportedProtocolVersion && IsFilledArray(supported)) return Choose(supported);
    if (answer.error_code == kMissingClientCapability &&
        GetMember(answer.error_data, "requiredCapabilities").is_object()) {
      return {Era::kModern, ""};
    }
  }
  return {Era::kLegacy, ""};
}

Json WithModernMeta(Json params, std::string_view client_name, std::string_view client_version) {
  if (!params.is_object()) params = Json::object();
  Json& meta = params["_meta"];
  if (!meta.is_object()) meta = Json::object();
  meta["io.modelcontextprotocol/protocolVersion"] = std::string(kModernVersion);
  meta["io.modelcontextprotocol/clientCapabilities"] = Json::object();
  meta["io.modelcontextprotocol/clientInfo"] = {{"name", std::string(client_name)},
                                                {"version", std::string(client_version)}};
  return params;
}

}  // namespace mcpfleet::mcp
