#include "edge-runtime/mcp/modern_headers.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::mcp {
namespace {

constexpr std::string_view kMark = "x-mcp-header";
constexpr size_t kMaxMarks = 32;  // of one tool; headers have a bound at every server
constexpr size_t kMaxDepth = 16;

// Keywords whose value is a schema, schemas in a list, or schemas by name. What stands below them is not an argument
// of its own, so nothing there can be marked.
constexpr std::string_view kElsewhere[] = {"items",
                                           "prefixItems",
                                           "contains",
                                           "additionalProperties",
                                           "patternProperties",
                                           "propertyNames",
                                           "oneOf",
                                           "anyOf",
                                           "allOf",
                                           "not",
                                           "if",
                                           "then",
                                           "else",
                                           "$defs",
                                           "definitions",
                                           "dependentSchemas",
                                           "unevaluatedProperties",
                                           "unevaluatedItems"};

bool IsTokenText(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

// "number" is not in the specification's list, but the conformance suite marks such arguments.
bool MayBeMarked(const Json& type) {
  return type == "string" || type == "integer" || type == "boolean" || type == "number";
}

}  // namespace

std::string HeaderText(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
  const bool padded = Trim(value).size() != value.size();
  if (plain && !padded && !value.starts_with("=?base64?")) return std::string(value);
  return "=?base64?" + Base64Encode(value) + "?=";
}

std::string_view NamingMember(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  if (method.starts_with("tasks/")) return "taskId";
  return "";
}

HeaderFields ModernHeaders(std::string_view version, std::string_view method, std::string_view name) {
  HeaderFields fields = {{"MCP-Protocol-Version", std::string(version)}, {"Mcp-Method", std::string(method)}};
  if (!NamingMember(method).empty()) fields.emplace_back("Mcp-Name", HeaderText(name));
  return fields;
}

Status ToolHeaders::Add(const Json& property, const std::vector<std::string>& path, bool reachable,
                        std::vector<Mark>* marks) {
  const Json& value = property.at(std::string(kMark));
  const std::string header = value.is_string() ? value.get<std::string>() : "";
  if (!IsTokenText(header)) return InvalidArgument("a mark that is no name of a header");
  if (!reachable || path.empty()) return InvalidArgument("x-mcp-header \"" + header + "\" is on no argument");
  if (!MayBeMarked(GetMember(property, "type")))
    return InvalidArgument("x-mcp-header \"" + header + "\" is on neither a string, an integer nor a boolean");
  const bool taken = std::any_of(marks->begin(), marks->end(),
                                 [&](const Mark& mark) { return EqualsIgnoreCase(mark.header, header); });
  if (taken) return InvalidArgument("x-mcp-header \"" + header + "\" stands there twice");
  if (marks->size() == kMaxMarks) return InvalidArgument("more than 32 marks");
  marks->push_back({path, header});
  return OkStatus();
}

Status ToolHeaders::Collect(const Json& schema, std::vector<std::string>* path, bool reachable,
                            std::vector<Mark>* marks) {
  if (schema.is_array()) {
    for (const Json& each : schema) RETURN_IF_ERROR(Collect(each, path, reachable, marks));
    return OkStatus();
  }
  if (!schema.is_object() || path->size() > kMaxDepth) return OkStatus();
  if (schema.contains(std::string(kMark))) RETURN_IF_ERROR(Add(schema, *path, reachable, marks));
  const Json& properties = GetMember(schema, "properties");
  for (auto it = properties.begin(); properties.is_object() && it != properties.end(); ++it) {
    path->push_back(it.key());
    Status collected = Collect(it.value(), path, reachable, marks);
    path->pop_back();
    RETURN_IF_ERROR(collected);
  }
  for (const std::string_view keyword : kElsewhere) {
    const Json& below = GetMember(schema, keyword);
    if (below.is_null()) continue;
    path->emplace_back(keyword);
    const bool by_name = keyword == "$defs" || keyword == "definitions" || keyword == "patternProperties" ||
                         keyword == "dependentSchemas";
    Status collected;
    if (by_name && below.is_object()) {
      for (auto it = below.begin(); collected.ok() && it != below.end(); ++it)
        collected = Collect(it.value(), path, false, marks);
    } else {
      collected = Collect(below, path, false, marks);
    }
    path->pop_back();
    RETURN_IF_ERROR(collected);
  }
  return OkStatus();
}

Status ToolHeaders::Note(const Json& tool) {
  const std::string name = GetString(tool, "name");
  std::vector<Mark> marks;
  std::vector<std::string> path;
  Status collected = Collect(GetMember(tool, "inputSchema"), &path, true, &marks);
  if (!collected.ok() || marks.empty()) {
    tools_.erase(name);
    return collected;
  }
  if (tools_.size() < kMaxTools || tools_.contains(name)) tools_[name] = std::move(marks);
  return OkStatus();
}

HeaderFields ToolHeaders::For(std::string_view tool, const Json& arguments) const {
  HeaderFields fields;
  const auto known = tools_.find(tool);
  if (known == tools_.end()) return fields;
  for (const Mark& mark : known->second) {
    const Json* value = &arguments;
    for (const std::string& step : mark.path) value = &GetMember(*value, step);
    std::string text;
    if (value->is_string()) {
      text = HeaderText(value->get<std::string>());
    } else if (value->is_number() || value->is_boolean()) {
      text = DumpJson(*value);
    } else {
      continue;
    }
    fields.emplace_back("Mcp-Param-" + mark.header, std::move(text));
  }
  return fields;
}

}  // namespace mcpfleet::mcp
