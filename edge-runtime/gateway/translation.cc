#include "edge-runtime/gateway/translation.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/mcp/era.h"
#include "edge-runtime/mcp/json_scan.h"

namespace mcpfleet::gateway {
namespace {

constexpr std::string_view kModernPrefix = "io.modelcontextprotocol/";
constexpr int64_t kLegacyNotFound = -32002;
constexpr int64_t kLegacyUrlElicitation = -32042;
// Not wire-compatible between the eras (tasks), or gone (logging per session stays, as logLevel per request).
constexpr std::array<std::string_view, 3> kEraBound = {"tasks", "extensions", "experimental"};

template <size_t N>
bool IsOneOf(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

Json OrObject(const Json& value) { return value.is_object() ? value : Json::object(); }

Json SharedCapabilities(const Json& capabilities) {
  Json out = OrObject(capabilities);
  for (std::string_view name : kEraBound) out.erase(std::string(name));
  return out;
}

}  // namespace

ModernMeta ReadModernMeta(std::string_view text, const mcp::Envelope& envelope) {
  const mcp::Span meta = mcp::FindMember(text, envelope.params, "_meta");
  mcp::Span version, capabilities, client, level;
  mcp::FindMembers(text, meta,
                   {{kMetaVersion, &version},
                    {kMetaCapabilities, &capabilities},
                    {kMetaClientInfo, &client},
                    {kMetaLogLevel, &level}});
  return {mcp::Unquote(version.In(text)), std::string(capabilities.In(text)), std::string(client.In(text)),
          std::string(level.In(text))};
}

bool Declares(std::string_view capabilities, std::string_view name) {
  const mcp::Span found = mcp::FindMember(capabilities, {0, capabilities.size()}, name);
  return found && found.In(capabilities) != "null";
}

bool IsRemovedInModern(std::string_view method) {
  static constexpr std::array<std::string_view, 8> kRemoved = {
      "initialize", "ping",         "logging/setLevel",         "resources/subscribe", "resources/unsubscribe",
      "tasks/list", "tasks/result", "notifications/initialized"};
  return IsOneOf(method, kRemoved);
}

bool IsCacheable(std::string_view method) {
  static constexpr std::array<std::string_view, 6> kCacheable = {
      "server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"};
  return IsOneOf(method, kCacheable);
}

std::vector<mcp::Edit> StripModernMeta(std::string_view text, const mcp::Envelope& envelope) {
  const mcp::Span meta = mcp::FindMember(text, envelope.params, "_meta");
  const std::string_view inside = meta.In(text);
  mcp::JsonScan scan(inside);
  if (!scan.Take('{') || scan.Take('}')) return {};
  // Only what goes is touched: the lane rewrites the token among what stays.
  std::vector<mcp::Edit> edits;
  bool first = true;    // nothing that stays has come yet
  size_t last_end = 0;  // of the member before
  bool open = false;    // the last edit reaches to the next member
  do {
    const std::string_view key = scan.Value();
    if (key.empty() || !scan.Take(':')) break;
    const std::string_view value = scan.Value();
    const size_t begin = meta.at + static_cast<size_t>(key.data() - inside.data());
    const size_t end = meta.at + static_cast<size_t>(value.data() - inside.data()) + value.size();
    if (std::exchange(open, false)) edits.back().where.size = begin - edits.back().where.at;
    if (mcp::Unquote(key).starts_with(kModernPrefix)) {
      open = first;  // with the comma behind it, else with the one before
      const size_t from = first ? begin : last_end;
      edits.push_back({{from, end - from}, ""});
    } else {
      first = false;
    }
    last_end = end;
  } while (scan.Take(','));
  return edits;
}

Incoming ForLegacyServer(const Incoming& message) {
  Incoming out{mcp::ApplyEdits(message.text, StripModernMeta(message.text, message.envelope)), {}};
  out.envelope = mcp::ReadEnvelope(out.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
  std::string params = "{";
  bool left_out = false;
  for (const auto& [key, value] : mcp::MembersOf(out.text, out.envelope.params)) {
    if (key == "task" || key == "inputResponses" || key == "requestState") {
      left_out = true;
      continue;
    }
    if (params.size() > 1) params += ",";
    params.append(mcp::Quote(key)).append(":").append(value.In(out.text));
  }
  if (!left_out) return out;
  out.text = mcp::ApplyEdits(out.text, {{out.envelope.params, params + "}"}});
  out.envelope = mcp::ReadEnvelope(out.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
  return out;
}

std::string ToModernAnswer(const Incoming& answer, std::string_view method, std::string_view server_info,
                           std::string_view id) {
  std::vector<mcp::Edit> edits = {{answer.envelope.id, std::string(id)}};
  if (answer.envelope.kind == mcp::MessageKind::kError) {
    const mcp::Span code = mcp::FindMember(answer.text, answer.envelope.error, "code");
    const std::string_view token = answer.Part(code);
    if (token == std::to_string(kLegacyNotFound) || token == std::to_string(kLegacyUrlElicitation))
      edits.push_back({code, std::to_string(mcp::kInvalidParams)});
    return mcp::ApplyEdits(answer.text, std::move(edits));
  }
  const mcp::Span result = answer.envelope.result;
  if (!mcp::IsObject(answer.Part(result))) return mcp::ApplyEdits(answer.text, std::move(edits));
  mcp::Span type, meta, ttl, scope;
  mcp::FindMembers(answer.text, result,
                   {{"resultType", &type}, {"_meta", &meta}, {"ttlMs", &ttl}, {"cacheScope", &scope}});
  std::vector<std::string> members;
  if (!type) members.emplace_back(R"("resultType":"complete")");
  if (IsCacheable(method) && !ttl) members.emplace_back(R"("ttlMs":0)");
  if (IsCacheable(method) && !scope) members.emplace_back(R"("cacheScope":"private")");
  const bool odd = meta && !mcp::IsObject(answer.Part(meta));
  if (!server_info.empty() && odd) {
    edits.push_back({meta, "{" + mcp::Quote(kMetaServerInfo) + ":" + std::string(server_info) + "}"});
  } else if (!server_info.empty() && !meta) {
    members.push_back(R"("_meta":{)" + mcp::Quote(kMetaServerInfo) + ":" + std::string(server_info) + "}");
  } else if (!server_info.empty() && !mcp::FindMember(answer.text, meta, kMetaServerInfo)) {
    edits.push_back(mcp::AddMember(answer.text, meta, kMetaServerInfo, server_info));
  }
  edits.push_back(mcp::AddMembers(answer.text, result, Join(members, ",")));
  return mcp::ApplyEdits(answer.text, std::move(edits));
}

std::string DiscoverResult(const Json& initialize_result) {
  Json result = {{"resultType", "complete"},
                 {"supportedVersions", Json::parse(mcp::kSupportedVersions)},
                 {"capabilities", SharedCapabilities(GetMember(initialize_result, "capabilities"))},
                 {"ttlMs", 0},
                 {"cacheScope", "private"}};
  if (const std::string text = GetString(initialize_result, "instructions"); !text.empty())
    result["instructions"] = text;
  if (const Json& info = GetMember(initialize_result, "serverInfo"); info.is_object())
    result["_meta"][std::string(kMetaServerInfo)] = info;
  return DumpJson(result);
}

std::vector<mcp::Edit> OurVersions(const Incoming& answer) {
  const mcp::Span versions = mcp::FindMember(answer.text, answer.envelope.result, "supportedVersions");
  if (!versions) return {};
  return {{versions, std::string(mcp::kSupportedVersions)}};
}

std::vector<mcp::Edit> AddModernMeta(std::string_view text, const mcp::Envelope& envelope,
                                     std::string_view capabilities, std::string_view client_info,
                                     std::string_view log_level) {
  std::vector<std::string> all;
  const auto add = [&all](std::string_view key, std::string_view value) {
    if (!value.empty()) all.push_back(mcp::Quote(key) + ":" + std::string(value));
  };
  add(kMetaVersion, mcp::Quote(mcp::kModernVersion));
  add(kMetaCapabilities, capabilities.empty() ? "{}" : capabilities);
  add(kMetaClientInfo, client_info);
  add(kMetaLogLevel, log_level);
  const std::string members = Join(all, ",");
  if (!mcp::IsObject(envelope.params.In(text))) {
    // In place of params, or as a new member in front of the message.
    const std::string params = R"({"_meta":{)" + members + "}}";
    if (envelope.params) return {{envelope.params, params}};
    return {mcp::AddMember(text, {0, text.size()}, "params", params)};
  }
  const mcp::Span meta = mcp::FindMember(text, envelope.params, "_meta");
  if (!meta) return {mcp::AddMember(text, envelope.params, "_meta", "{" + members + "}")};
  if (!mcp::IsObject(meta.In(text))) return {{meta, "{" + members + "}"}};
  return {mcp::AddMembers(text, meta, members)};
}

std::string InitializeResult(const Json& discover_result, std::string_view version) {
  Json result = {{"protocolVersion", std::string(mcp::IsLegacyVersion(version) ? version : mcp::kLegacyVersion)},
                 {"capabilities", SharedCapabilities(GetMember(discover_result, "capabilities"))}};
  const Json& in_meta = GetMember(GetMember(discover_result, "_meta"), kMetaServerInfo);
  const Json& info = in_meta.is_object() ? in_meta : GetMember(discover_result, "serverInfo");
  result["serverInfo"] = info.is_object() ? info : Json{{"name", "unknown"}, {"version", "0"}};
  if (const std::string text = GetString(discover_result, "instructions"); !text.empty()) result["instructions"] = text;
  return DumpJson(result);
}

}  // namespace mcpfleet::gateway
