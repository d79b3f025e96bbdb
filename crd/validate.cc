// Schema::Validate: the structural rules. Rules over several fields are in crd/rules.cc.
#include <algorithm>
#include <map>
#include <mutex>
#include <regex>
#include <set>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/limits.h"
#include "base/strings.h"
#include "crd/object.h"
#include "crd/quantity.h"
#include "crd/rules.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

using Type = SchemaNode::Type;

// std::regex recurses for each character it matches; ours see short texts only.
constexpr size_t kMaxPatternInput = 4096;

const std::regex& Compiled(const std::string& pattern) {
  static std::mutex mu;
  static std::map<std::string, std::regex>* const cache = new std::map<std::string, std::regex>();
  std::lock_guard<std::mutex> lock(mu);
  auto it = cache->find(pattern);
  // Only patterns of the compiled-in schema come here; a malformed one fails the tests.
  if (it == cache->end()) it = cache->emplace(pattern, std::regex(pattern)).first;
  return it->second;
}

std::string Shown(const Json& value) {
  if (value.is_string()) return "\"" + Printable(value.get_ref<const std::string&>(), 60) + "\"";
  return Printable(DumpJson(value), 60);
}

std::string Kindly(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "nothing";
    case Json::value_t::boolean:
      return "a boolean (" + DumpJson(value) + ")";
    case Json::value_t::string:
      return "the text " + Shown(value);
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return "the number " + Shown(value);
    case Json::value_t::array:
      return "a list";
    case Json::value_t::object:
      return "a map";
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return "something else";
}

size_t CountCharacters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool IsNumberText(const std::string& text) {
  return !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
}

class Validator {
 public:
  explicit Validator(const LineOf& line_of) : line_of_(line_of) {}

  void Report(const std::string& path, std::string problem, std::string allowed = "") {
    found_paths_.insert(path);
    found.push_back({"", line_of_ ? line_of_(path) : 0, path, std::move(problem), std::move(allowed)});
  }
  // Rules speak only about paths that are right so far.
  void ReportRule(const std::string& path, std::string problem, std::string allowed) {
    if (!found_paths_.contains(path)) Report(path, std::move(problem), std::move(allowed));
  }

  void Check(const SchemaNode& node, const Json& value, const std::string& path) {
    if (value.is_null()) return Report(path, "has no value", "a value, or remove the field");
    switch (node.type) {
      case Type::kObject:
        return CheckObject(node, value, path);
      case Type::kMap:
        return CheckMap(node, value, path);
      case Type::kArray:
        return CheckArray(node, value, path);
      case Type::kString:
        return CheckString(node, value, path);
      case Type::kInteger:
        return CheckInteger(node, value, path);
      case Type::kBoolean:
        return CheckBoolean(value, path);
      case Type::kIntOrString:
        if (!value.is_number_integer()) return CheckString(node, value, path);
        if (value.get<int64_t>() < 0) Report(path, "is negative", Example(node));
        return;
      case Type::kAny:
        return;
    }
  }

  void CheckFields(const Json& object, const std::string& path, const std::vector<std::string>& known) {
    for (auto it = object.begin(); it != object.end(); ++it) {
      if (std::find(known.begin(), known.end(), it.key()) != known.end()) continue;
      std::string nearest = Nearest(it.key(), known);
      std::string problem = "unknown field \"" + Printable(it.key(), 60) + "\"";
      if (!nearest.empty()) problem += ", did you mean \"" + nearest + "\"?";
      Report(ChildPath(path, it.key()), problem, nearest.empty() ? Join(known, ", ") : "");
    }
  }

  std::vector<Violation> found;

 private:
  static std::string Example(const SchemaNode& node) {
    if (!node.enumeration.empty()) return Join(node.enumeration, ", ");
    if (node.format == "bytes") return "a quantity such as 256Mi";
    if (node.format == "cpu") return "a quantity such as 500m or 1.5";
    if (node.format == "duration") return "a duration such as 90s, 5m or 1h30m";
    if (!node.example.empty()) return "text such as \"" + node.example + "\"";
    return "text";
  }

  void CheckObject(const SchemaNode& node, const Json& value, const std::string& path) {
    if (!value.is_object()) return Report(path, "wants a map, got " + Kindly(value), Join(node.order, ", "));
    CheckFields(value, path, node.order);
    for (const std::string& name : node.required) {
      if (value.contains(name)) continue;
      const SchemaNode& child = *node.properties.at(name);
      Report(ChildPath(path, name), "is missing", child.type == Type::kString ? Example(child) : "");
    }
    for (auto it = value.begin(); it != value.end(); ++it) {
      auto child = node.properties.find(it.key());
      if (child != node.properties.end()) Check(*child->second, *it, ChildPath(path, it.key()));
    }
  }

  void CheckCount(const SchemaNode& node, size_t count, const std::string& path) {
    int64_t items = static_cast<int64_t>(count);
    if (node.max_items && items > *node.max_items) {
      Report(path, "has " + std::to_string(items) + " entries", "at most " + std::to_string(*node.max_items));
    }
    if (node.min_items && items < *node.min_items) {
      Report(path, "has " + std::to_string(items) + " entries", "at least " + std::to_string(*node.min_items));
    }
  }

  void CheckMap(const SchemaNode& node, const Json& value, const std::string& path) {
    if (!value.is_object()) return Report(path, "wants a map, got " + Kindly(value));
    CheckCount(node, value.size(), path);
    for (auto it = value.begin(); it != value.end(); ++it) Check(*node.items, *it, ChildPath(path, it.key()));
  }

  void CheckArray(const SchemaNode& node, const Json& value, const std::string& path) {
    if (!value.is_array()) return Report(path, "wants a list, got " + Kindly(value), "lines that begin with \"- \"");
    CheckCount(node, value.size(), path);
    std::map<std::string, size_t> seen;
    for (size_t i = 0; i < value.size(); ++i) {
      std::string item_path = ItemPath(path, i);
      Check(*node.items, value[i], item_path);
      if (node.list_set) CheckUnique(DumpJson(value[i]), Shown(value[i]), item_path, path, i, &seen);
      for (const std::string& key : node.list_map_keys) {
        const Json& id = GetMember(value[i], key);
        if (id.is_string()) CheckUnique(id.get<std::string>(), Shown(id), ChildPath(item_path, key), path, i, &seen);
      }
    }
  }

  void CheckUnique(const std::string& id, const std::string& shown, const std::string& at, const std::string& path,
                   size_t index, std::map<std::string, size_t>* seen) {
    auto [it, inserted] = seen->emplace(id, index);
    if (!inserted) Report(at, shown + " is given twice (first in " + ItemPath(path, it->second) + ")");
  }

  void CheckString(const SchemaNode& node, const Json& value, const std::string& path) {
    if (!value.is_string()) {
      std::string problem = "wants text, got " + Kindly(value);
      if (value.is_number_integer() || value.is_boolean()) {
        problem += "; write it in quotes: \"" + DumpJson(value) + "\"";
      } else if (value.is_number()) {
        problem += "; write it in quotes";
      }
      return Report(path, problem, node.enumeration.empty() ? "" : Example(node));
    }
    const std::string& text = value.get_ref<const std::string&>();
    int64_t length = static_cast<int64_t>(CountCharacters(text));
    if (node.max_length && length > *node.max_length) {
      return Report(path, "has " + std::to_string(length) + " characters",
                    "at most " + std::to_string(*node.max_length));
    }
    if (node.min_length && length < *node.min_length) return Report(path, "is empty", Example(node));
    if (text.find('\0') != std::string::npos) return Report(path, "contains a NUL character");
    if (!node.enumeration.empty()) return CheckEnumeration(node, text, path);
    if (!CheckFormat(node, text, path)) return;
    if (node.pattern.empty()) return;
    if (text.size() > kMaxPatternInput || !std::regex_search(text, Compiled(node.pattern))) {
      Report(path, Shown(value) + " has a wrong form", Example(node) + " (pattern " + node.pattern + ")");
    }
  }

  void CheckEnumeration(const SchemaNode& node, const std::string& text, const std::string& path) {
    if (std::find(node.enumeration.begin(), node.enumeration.end(), text) != node.enumeration.end()) return;
    std::string nearest = Nearest(text, node.enumeration);
    std::string problem = "unknown value \"" + Printable(text, 60) + "\"";
    if (!nearest.empty()) problem += ", did you mean \"" + nearest + "\"?";
    Report(path, problem, Join(node.enumeration, ", "));
  }

  bool CheckFormat(const SchemaNode& node, const std::string& text, const std::string& path) {
    Status status;
    std::string problem;
    if (node.format == "bytes") {
      status = ParseBytes(text).status();
      problem = Message(status);
    } else if (node.format == "cpu") {
      status = ParseCpuMilli(text).status();
      problem = Message(status);
    } else if (node.format == "duration") {
      status = ParseDuration(text).status();
      problem = "is not a duration";
    }
    if (status.ok()) return true;
    Report(path, "\"" + Printable(text, 40) + "\" " + problem, Example(node));
    return false;
  }

  static std::string Range(const SchemaNode& node) {
    if (node.minimum && node.maximum) return std::to_string(*node.minimum) + " to " + std::to_string(*node.maximum);
    if (node.minimum) return "at least " + std::to_string(*node.minimum);
    if (node.maximum) return "at most " + std::to_string(*node.maximum);
    return "a whole number";
  }

  void CheckInteger(const SchemaNode& node, const Json& value, const std::string& path) {
    if (!value.is_number_integer()) {
      std::string problem = "wants a whole number, got " + Kindly(value);
      if (value.is_string() && IsNumberText(value.get<std::string>())) {
        problem += "; write it without quotes: " + value.get<std::string>();
      }
      return Report(path, problem, Range(node));
    }
    // Unsigned numbers beyond int64 wrap to negative ones in get<int64_t>.
    bool huge = value.is_number_unsigned() && value.get<uint64_t>() > (uint64_t{1} << 62);
    int64_t number = value.get<int64_t>();
    if (huge || (node.maximum && number > *node.maximum) || (node.minimum && number < *node.minimum)) {
      Report(path, Shown(value) + " is out of range", Range(node));
    }
  }

  void CheckBoolean(const Json& value, const std::string& path) {
    if (value.is_boolean()) return;
    std::string problem = "wants true or false, got " + Kindly(value);
    if (value.is_string()) problem += "; write true or false, without quotes";
    Report(path, problem, "true, false");
  }

  const LineOf& line_of_;
  std::set<std::string> found_paths_;
};

void CheckStringMap(Validator* validator, const Json& metadata, const char* name) {
  if (!metadata.contains(name)) return;
  SchemaNode map;
  map.type = Type::kMap;
  map.items = std::make_unique<SchemaNode>();
  map.items->type = Type::kString;
  validator->Check(map, metadata[name], ChildPath("metadata", name));
}

void CheckMetadata(Validator* validator, const KindSchema& kind, const Json& object) {
  if (!object.contains("metadata")) return validator->Report("metadata", "is missing", "metadata: {name: …}");
  const Json& metadata = object["metadata"];
  if (!metadata.is_object()) return validator->Report("metadata", "wants a map, got " + Kindly(metadata));
  validator->CheckFields(metadata, "metadata",
                         {"name", "namespace", "labels", "annotations", "uid", "generation", "creationTimestamp"});
  SchemaNode text, number;
  text.type = Type::kString;
  number.type = Type::kInteger;
  number.minimum = 0;
  for (const char* name : {"name", "namespace", "uid", "creationTimestamp"}) {
    if (metadata.contains(name)) validator->Check(text, metadata[name], ChildPath("metadata", name));
  }
  if (metadata.contains("generation")) validator->Check(number, metadata["generation"], "metadata.generation");
  CheckStringMap(validator, metadata, "labels");
  CheckStringMap(validator, metadata, "annotations");
  CheckMetadataRules(metadata, kind.namespaced, [&](const std::string& path, std::string problem, std::string allowed) {
    validator->ReportRule(path, std::move(problem), std::move(allowed));
  });
}

void CheckHeader(Validator* validator, const Json& object) {
  const Json& version = GetMember(object, "apiVersion");
  if (version.is_null()) {
    validator->Report("apiVersion", "is missing", kApiVersion);
  } else if (version != kApiVersion) {
    validator->Report("apiVersion", "unknown version " + Shown(version), kApiVersion);
  }
}

}  // namespace

std::vector<Violation> Schema::Validate(std::string_view kind, const Json& object, const LineOf& line_of) const {
  Validator validator(line_of);
  if (!object.is_object()) {
    validator.Report("", "wants an object with apiVersion, kind, metadata and spec, got " + Kindly(object));
    return validator.found;
  }
  std::vector<std::string> kinds;
  for (const auto& each : kinds_) kinds.push_back(each->kind);
  const KindSchema* schema = nullptr;
  for (const auto& each : kinds_) {
    if (each->kind == kind) schema = each.get();
  }
  CheckHeader(&validator, object);
  if (schema == nullptr || GetString(object, "kind") != kind) {
    std::string nearest = Nearest(kind, kinds);
    std::string problem = kind.empty() ? "is missing" : "unknown kind \"" + Printable(kind, 60) + "\"";
    if (!nearest.empty()) problem += ", did you mean \"" + nearest + "\"?";
    validator.Report("kind", problem, Join(kinds, ", "));
    return validator.found;
  }
  validator.CheckFields(object, "", {"apiVersion", "kind", "metadata", "spec", "status"});
  CheckMetadata(&validator, *schema, object);
  const SchemaNode& root = *schema->root;
  bool required = std::find(root.required.begin(), root.required.end(), "spec") != root.required.end();
  if (!object.contains("spec")) {
    if (required) validator.Report("spec", "is missing", "spec: {source: …}");
    return validator.found;
  }
  validator.Check(*root.properties.at("spec"), object["spec"], "spec");
  const ReportViolation report = [&](const std::string& path, std::string problem, std::string allowed) {
    validator.ReportRule(path, std::move(problem), std::move(allowed));
  };
  if (kind == kKindServer) CheckServerRules(object["spec"], report);
  if (kind == kKindNode) CheckNodeRules(object["spec"], report);
  if (kind == kKindSecret) CheckSecretRules(object["spec"], report);
  std::stable_sort(validator.found.begin(), validator.found.end(),
                   [](const Violation& a, const Violation& b) { return a.line < b.line; });
  return validator.found;
}

}  // namespace mcpfleet
