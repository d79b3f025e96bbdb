// What of the JSON schema of SARIF 2.1.0 concerns what mcpctl writes, as rules: required members, no others, types,
// enumerations, bounds, and the references between results and rules that the standard's text adds.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::cli {

class SarifRules {
 public:
  std::vector<std::string> problems;

  void Log(const Json& log) {
    Members(log, "", {"version", "runs"}, {"$schema", "inlineExternalProperties", "properties"});
    Want(log.value("version", "") == "2.1.0", "version");
    Want(GetString(log, "$schema").starts_with("https://"), "$schema");
    Each(log, "", "runs", [this](const Json& run, const std::string& at) { Run(run, at); });
  }

 private:
  void Want(bool holds, const std::string& what) {
    if (!holds) problems.push_back(what);
  }
  // Required members are there, and none but these and `more`.
  void Members(const Json& object, const std::string& at, const std::set<std::string>& required,
               const std::set<std::string>& more = {}) {
    if (!object.is_object()) return problems.push_back(at + ": no object");
    for (const std::string& name : required) Want(object.contains(name), at + "/" + name + ": missing");
    for (auto it = object.begin(); it != object.end(); ++it)
      Want(required.count(it.key()) + more.count(it.key()) != 0, at + "/" + it.key() + ": unknown");
  }
  template <typename Visit>
  void Each(const Json& object, const std::string& at, const std::string& name, Visit visit) {
    const Json& list = GetMember(object, name);
    if (!list.is_array()) return problems.push_back(at + "/" + name + ": no array");
    for (size_t i = 0; i < list.size(); ++i) visit(list[i], at + "/" + name + "/" + std::to_string(i));
  }
  void Message(const Json& message, const std::string& at) {
    Members(message, at, {"text"}, {"id", "arguments", "markdown", "properties"});
    Want(GetMember(message, "text").is_string(), at + "/text");
  }

  void Run(const Json& run, const std::string& at) {
    Members(run, at, {"tool"}, {"results", "columnKind", "automationDetails", "properties", "originalUriBaseIds"});
    if (run.contains("columnKind"))
      Want(run["columnKind"] == "utf16CodeUnits" || run["columnKind"] == "unicodeCodePoints", at + "/columnKind");
    if (run.contains("automationDetails")) Want(GetMember(run["automationDetails"], "id").is_string(), at + "/id");
    const Json& tool = GetMember(run, "tool");
    Members(tool, at + "/tool", {"driver"}, {"extensions", "properties"});
    const Json& driver = GetMember(tool, "driver");
    Members(driver, at + "/driver", {"name"},
            {"version", "semanticVersion", "informationUri", "rules", "fullName", "organization", "properties"});
    std::vector<std::string> rules;
    std::set<std::string> unique;
    Each(driver, at + "/driver", "rules", [&](const Json& rule, const std::string& where) {
      Members(rule, where, {"id"},
              {"name", "shortDescription", "fullDescription", "helpUri", "help", "defaultConfiguration", "properties"});
      rules.push_back(GetString(rule, "id"));
      Want(unique.insert(rules.back()).second, where + ": given twice");
      if (rule.contains("shortDescription")) Message(rule["shortDescription"], where + "/shortDescription");
    });
    Each(run, at, "results", [&](const Json& result, const std::string& where) { Result(result, where, rules); });
  }

  void Result(const Json& result, const std::string& at, const std::vector<std::string>& rules) {
    Members(result, at, {"message"},
            {"ruleId", "ruleIndex", "level", "kind", "locations", "partialFingerprints", "fingerprints", "properties"});
    Message(GetMember(result, "message"), at + "/message");
    if (result.contains("level")) {
      const std::set<std::string> levels = {"none", "note", "warning", "error"};
      Want(levels.contains(GetString(result, "level")), at + "/level");
    }
    if (result.contains("ruleIndex")) {
      const int64_t index = GetInt(result, "ruleIndex", -2);
      Want(index >= 0 && index < static_cast<int64_t>(rules.size()) &&
               rules[static_cast<size_t>(index)] == GetString(result, "ruleId"),
           at + "/ruleIndex");
    }
    if (result.contains("locations"))
      Each(result, at, "locations",
           [this](const Json& location, const std::string& where) { Location(location, where); });
  }

  void Location(const Json& location, const std::string& at) {
    Members(location, at, {}, {"id", "physicalLocation", "logicalLocations", "message", "annotations", "properties"});
    if (location.contains("logicalLocations")) {
      Each(location, at, "logicalLocations", [this](const Json& logical, const std::string& where) {
        Members(logical, where, {},
                {"name", "index", "fullyQualifiedName", "decoratedName", "parentIndex", "kind", "properties"});
      });
    }
    if (!location.contains("physicalLocation")) return;
    const Json& physical = location["physicalLocation"];
    Members(physical, at, {"artifactLocation"}, {"address", "region", "contextRegion", "properties"});
    const std::string uri = GetString(GetMember(physical, "artifactLocation"), "uri");
    Want(!uri.empty() && IsUriReference(uri), at + "/uri");
    if (!physical.contains("region")) return;
    Members(physical["region"], at + "/region", {},
            {"startLine", "startColumn", "endLine", "endColumn", "snippet", "message", "properties"});
    for (auto it = physical["region"].begin(); it != physical["region"].end(); ++it)
      Want(!it->is_number() || it->get<int64_t>() >= 1, at + "/region/" + it.key());
  }

  static bool IsUriReference(const std::string& text) {
    for (const char c : text) {
      if (isalnum(static_cast<unsigned char>(c)) == 0 && std::string("-._~/:%").find(c) == std::string::npos)
        return false;
    }
    return true;
  }
};

// What is wrong with a SARIF log, as JSON pointers; empty for a good one.
inline std::vector<std::string> SarifProblems(const Json& log) {
  SarifRules rules;
  rules.Log(log);
  return rules.problems;
}

}  // namespace mcpfleet::cli
