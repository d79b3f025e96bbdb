#include "cli/tool_arguments.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

// The types that a property takes: of "type", a name or a list, or those of its alternatives.
std::vector<std::string> TypesOf(const Json& property) {
  std::vector<std::string> types;
  const Json& type = GetMember(property, "type");
  if (type.is_string()) types.push_back(type.get<std::string>());
  if (type.is_array()) {
    for (const Json& one : type) types.push_back(one.is_string() ? one.get<std::string>() : "");
  }
  for (const char* alternatives : {"anyOf", "oneOf"}) {
    for (const Json& one : GetMember(property, alternatives)) {
      std::vector<std::string> more = one.is_object() ? TypesOf(one) : std::vector<std::string>{};
      types.insert(types.end(), more.begin(), more.end());
    }
  }
  return types;
}

bool Fits(const std::string& type, const Json& value) {
  return (type == "number" && value.is_number()) || (type == "integer" && value.is_number_integer()) ||
         (type == "boolean" && value.is_boolean()) || (type == "array" && value.is_array()) ||
         (type == "object" && value.is_object()) || (type == "null" && value.is_null());
}

StatusOr<Json> Typed(const Json& schema, const std::string& name, const std::string& text) {
  std::vector<std::string> types = TypesOf(GetMember(GetMember(schema, "properties"), name));
  if (StatusOr<Json> value = ParseJson(text); value.ok()) {
    for (const std::string& type : types) {
      if (Fits(type, *value)) return value;
    }
  }
  if (types.empty() || std::find(types.begin(), types.end(), "string") != types.end()) return Json(text);
  return InvalidArgument("--arg " + name + "=" + Printable(text, 60) + ": the tool wants: " + Join(types, " or "));
}

Status CheckRequired(const Json& schema, const Json& arguments) {
  std::vector<std::string> missing;
  for (const Json& name : GetMember(schema, "required")) {
    if (name.is_string() && !arguments.contains(name.get<std::string>())) missing.push_back(name.get<std::string>());
  }
  if (missing.empty()) return OkStatus();
  return InvalidArgument("the tool also needs: " + Join(missing, ", ") + "; give each as --arg NAME=VALUE");
}

}  // namespace

StatusOr<Json> ToolArguments(const Json& schema, const std::string& json, const std::vector<std::string>& pairs) {
  Json arguments = Json::object();
  if (!json.empty()) {
    StatusOr<Json> given = ParseJson(json);
    if (!given.ok()) return Annotate(given.status(), "--args");
    if (!given->is_object()) return InvalidArgument("--args: not a JSON object");
    arguments = *std::move(given);
  }
  std::vector<std::string> known;
  for (const auto& [name, property] : GetMember(schema, "properties").items()) known.push_back(name);
  for (const std::string& pair : pairs) {
    size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--arg " + Printable(pair, 60) + "; allowed: NAME=VALUE");
    }
    std::string name = pair.substr(0, equals);
    if (!known.empty() && !GetMember(schema, "properties").contains(name) && !GetBool(schema, "additionalProperties")) {
      std::string near = Nearest(name, known);
      return InvalidArgument("--arg " + Printable(name, 60) + ": the tool has no such argument" +
                             (near.empty() ? "" : ", did you mean \"" + near + "\"?") +
                             "; it has: " + Join(known, ", "));
    }
    ASSIGN_OR_RETURN(arguments[name], Typed(schema, name, pair.substr(equals + 1)));
  }
  RETURN_IF_ERROR(CheckRequired(schema, arguments));
  return arguments;
}

}  // namespace mcpfleet::cli
