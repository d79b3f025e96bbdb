#include "crd/manifest.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"
#include "crd/schema.h"
#include "crd/yaml_reader.h"

namespace mcpfleet {
namespace {

// More help nobody.
constexpr size_t kMaxViolations = 1000;

Status FirstOf(const std::vector<Violation>& violations) {
  std::string text = ToString(violations.front());
  if (violations.size() > 1) text += " (and " + std::to_string(violations.size() - 1) + " more)";
  return InvalidArgument(text);
}

bool IsList(const Json& value) {
  std::string kind = GetString(value, "kind");
  return kind == "List" ||
         ((kind == "MCPServerList" || kind == "MCPNodeList" || kind == "MCPSecretList") && value.contains("items"));
}

// The lines below `prefix`, as paths of their own.
std::map<std::string, int> LinesBelow(const std::map<std::string, int>& lines, const std::string& prefix) {
  std::map<std::string, int> out;
  if (auto root = lines.find(prefix); root != lines.end()) out[""] = root->second;
  for (std::string next : {prefix + ".", prefix + "["}) {
    for (auto it = lines.lower_bound(next); it != lines.end() && it->first.starts_with(next); ++it) {
      out.emplace(it->first.substr(prefix.size() + (next.back() == '.' ? 1 : 0)), it->second);
    }
  }
  return out;
}

// The objects of a document: itself, or the items of a list.
void Unpack(Document document, const std::string& file, std::vector<RawObject>* out,
            std::vector<Violation>* violations) {
  const int column = document.columns.contains("") ? document.columns[""] : 0;
  if (!IsList(document.value)) {
    out->push_back(
        {std::move(document.value), document.line, column, std::move(document.lines), std::move(document.columns)});
    return;
  }
  const Json& items = GetMember(document.value, "items");
  if (!items.is_array()) {
    violations->push_back({file, document.line, "items", "is missing or not a list", "", column});
    return;
  }
  for (size_t i = 0; i < items.size() && violations->size() < kMaxViolations; ++i) {
    const std::string path = ItemPath("items", i);
    RawObject item{items[i], document.line, column, LinesBelow(document.lines, path),
                   LinesBelow(document.columns, path)};
    if (item.lines.contains("")) item.line = item.lines[""];
    if (item.columns.contains("")) item.column = item.columns[""];
    out->push_back(std::move(item));
  }
}

void Judge(RawObject raw, const std::string& file, std::vector<ManifestObject>* objects,
           std::vector<Violation>* violations) {
  const LineOf line_of = LinesIn(raw.lines), column_of = LinesIn(raw.columns);
  std::vector<Violation> found = Schema::Builtin().Validate(GetString(raw.value, "kind"), raw.value, line_of);
  for (Violation& violation : found) {
    violation.file = file;
    violation.column = column_of(violation.path);
    if (violation.line == 0) violation.line = raw.line;
  }
  if (found.empty()) {
    StatusOr<Object> object = ObjectFromJson(raw.value);
    if (object.ok()) {
      objects->push_back({*std::move(object), file, raw.line, std::move(raw.lines), raw.column});
    } else {
      found.push_back({file, raw.line, "", Message(object.status()), "", raw.column});
    }
  }
  violations->insert(violations->end(), found.begin(), found.end());
}

// What was found goes to the caller, bounded.
Status Refuse(std::vector<Violation> found, const std::string& file, std::vector<Violation>* violations) {
  if (found.size() > kMaxViolations) {
    found.resize(kMaxViolations);
    found.push_back(
        {file, 0, "", "more than " + std::to_string(kMaxViolations) + " errors; the rest is not shown", ""});
  }
  if (violations != nullptr) violations->insert(violations->end(), found.begin(), found.end());
  return FirstOf(found);
}

std::vector<RawObject> ReadRaw(std::string_view bytes, const std::string& file, std::vector<Violation>* found) {
  std::vector<Document> documents = ReadDocuments(bytes, found);
  for (Violation& violation : *found) violation.file = file;
  std::vector<RawObject> raws;
  for (Document& document : documents) {
    if (found->size() >= kMaxViolations) break;
    Unpack(std::move(document), file, &raws, found);
  }
  return raws;
}

}  // namespace

LineOf LinesIn(const std::map<std::string, int>& lines) {
  return [&lines](std::string_view path) {
    while (true) {
      auto it = lines.find(std::string(path));
      if (it != lines.end()) return it->second;
      size_t cut = path.find_last_of(".[");
      if (cut == std::string_view::npos) break;
      path = path.substr(0, cut);
    }
    auto root = lines.find("");
    return root == lines.end() ? 0 : root->second;
  };
}

StatusOr<std::vector<RawObject>> ReadRawObjects(std::string_view bytes, const std::string& file_name,
                                                std::vector<Violation>* violations) {
  std::vector<Violation> found;
  std::vector<RawObject> raws = ReadRaw(bytes, file_name, &found);
  if (!found.empty()) return Refuse(std::move(found), file_name, violations);
  return raws;
}

StatusOr<std::vector<ManifestObject>> ParseManifest(std::string_view bytes, const std::string& file_name,
                                                    std::vector<Violation>* violations) {
  std::vector<Violation> found;
  std::vector<ManifestObject> objects;
  for (RawObject& raw : ReadRaw(bytes, file_name, &found)) {
    if (found.size() >= kMaxViolations) break;
    Judge(std::move(raw), file_name, &objects, &found);
  }
  std::vector<Violation> twice = FindDuplicates(objects);
  found.insert(found.end(), twice.begin(), twice.end());
  if (!found.empty()) return Refuse(std::move(found), file_name, violations);
  return objects;
}

std::vector<Violation> FindDuplicates(const std::vector<ManifestObject>& objects) {
  std::vector<Violation> out;
  std::map<ObjectKey, const ManifestObject*> first;
  for (const ManifestObject& object : objects) {
    auto [it, inserted] = first.emplace(KeyOf(object.object), &object);
    if (inserted) continue;
    const ObjectKey& key = it->first;
    std::string name = key.namespace_.empty() ? key.name : key.namespace_ + "/" + key.name;
    out.push_back({object.file, object.line, "metadata.name",
                   key.kind + " " + name + " is given twice (first in " + it->second->file + ":" +
                       std::to_string(it->second->line) + ")",
                   "", object.column});
  }
  return out;
}

StatusOr<Json> ParseYaml(std::string_view bytes, const std::string& file_name, std::map<std::string, int>* lines,
                         std::vector<Violation>* violations) {
  std::vector<Violation> found;
  std::vector<Document> documents = ReadDocuments(bytes, &found);
  if (found.empty() && documents.empty()) found.push_back({"", 1, "", "is empty", ""});
  if (found.empty() && documents.size() > 1) {
    found.push_back({"", documents[1].line, "", "has more than one document", ""});
  }
  for (Violation& violation : found) violation.file = file_name;
  if (!found.empty()) {
    if (violations != nullptr) violations->insert(violations->end(), found.begin(), found.end());
    return FirstOf(found);
  }
  if (lines != nullptr) *lines = std::move(documents[0].lines);
  return std::move(documents[0].value);
}

StatusOr<std::vector<Json>> ParseYamlDocuments(std::string_view bytes, const std::string& file_name,
                                               std::vector<Violation>* violations) {
  std::vector<Violation> found;
  std::vector<Document> documents = ReadDocuments(bytes, &found);
  for (Violation& violation : found) violation.file = file_name;
  if (!found.empty()) {
    if (violations != nullptr) violations->insert(violations->end(), found.begin(), found.end());
    return FirstOf(found);
  }
  std::vector<Json> values;
  values.reserve(documents.size());
  for (Document& document : documents) values.push_back(std::move(document.value));
  return values;
}

}  // namespace mcpfleet
