#include "crd/map_edit.h"

#include <algorithm>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"
#include "crd/violation.h"
#include "crd/yaml_lines.h"
#include "crd/yaml_reader.h"

namespace mcpfleet {
namespace {

using yaml::KeyAt;
using yaml::kNone;
using yaml::Text;

// `members` below the maps of `path` from its `from`th on.
Json Nested(const std::vector<std::string>& path, size_t from, const Json& members) {
  Json nested = PatchedMembers(Json::object(), {}, members);
  for (size_t i = path.size(); i > from; --i) nested = Json{{path[i - 1], std::move(nested)}};
  return nested;
}

class MapEditor {
 public:
  MapEditor(Text* text, const std::string& file, const Document& document, const std::vector<std::string>& path,
            const Json& members)
      : text_(*text), file_(file), document_(document), path_(path), members_(members) {}

  Status Edit() {
    const Json* map = &document_.value;
    size_t line = 0, column = 0;  // of the key that `map` stands below; the root has none
    std::string at;
    for (size_t depth = 0; depth < path_.size(); ++depth) {
      if (!map->contains(path_[depth])) {
        if (depth == 0) {
          text_.Insert(text_.size(), 0, ObjectToYaml(Nested(path_, 0, members_)));
        } else {
          text_.Insert(text_.EndOfBlock(line, column), text_.ChildColumn(line, column),
                       ObjectToYaml(Nested(path_, depth, members_)));
        }
        return OkStatus();
      }
      map = &(*map)[path_[depth]];
      at = at.empty() ? path_[depth] : ChildPath(at, path_[depth]);
      line = LineOf(at);
      ASSIGN_OR_RETURN(const KeyAt key, Key(line, at, path_[depth]));
      column = key.column;
      if (!key.empty) {
        const std::vector<std::string> rest(path_.begin() + static_cast<std::ptrdiff_t>(depth) + 1, path_.end());
        const std::string why = yaml::ReplaceBraces(&text_, line, key, PatchedMembers(*map, rest, members_));
        return why.empty() ? OkStatus() : Refused(line, at + ": " + why);
      }
      if (map->is_null()) {  // a key with nothing behind it
        text_.Insert(line + 1, column + 2, ObjectToYaml(Nested(path_, depth + 1, members_)));
        return OkStatus();
      }
      if (!map->is_object()) return Refused(line, at + ": is not a map");
    }
    return EditMembers(*map, line, column, at);
  }

 private:
  Status EditMembers(const Json& map, size_t map_line, size_t column, const std::string& at) {
    Json added = Json::object();
    std::map<size_t, std::string> changed;  // by line, the name
    for (const auto& [name, value] : members_.items()) {
      if (!map.contains(name)) {
        if (!value.is_null()) added[name] = value;
        continue;
      }
      if (map[name] == value) continue;
      const size_t line = LineOf(ChildPath(at, name));
      RETURN_IF_ERROR(Key(line, ChildPath(at, name), name).status());
      if (map[name].is_structured()) return Refused(line, ChildPath(at, name) + ": is no scalar");
      changed[line] = name;
    }
    const size_t end = text_.EndOfBlock(map_line, column), child = text_.ChildColumn(map_line, column);
    if (!added.empty()) text_.Insert(end, child, ObjectToYaml(added));
    // From below, so that the numbers of the lines above stay right.
    for (auto it = changed.rbegin(); it != changed.rend(); ++it) Change(it->first, it->second);
    return OkStatus();
  }

  void Change(size_t line, const std::string& name) {
    const KeyAt key = *yaml::FindKey(text_[line], name);
    const Json& value = members_[name];
    // A value that goes on below its key's line goes with it; a comment below is not part of it.
    size_t end = line + 1;
    while (end < text_.size() && text_.HasContent(end) && text_.Indent(end) > key.column) ++end;
    if (value.is_null()) return text_.Erase(line, end);
    text_.Erase(line + 1, end);
    std::string made = ObjectToYaml(Json{{name, value}});
    made.pop_back();
    text_[line] = text_[line].substr(0, key.column) + made + Comment(text_[line], key) + text_.end();
  }

  // "   # why" behind the value.
  static std::string Comment(const std::string& line, const KeyAt& key) {
    size_t from = key.value;
    if (from < line.size() && (line[from] == '"' || line[from] == '\'')) from = line.rfind(line[from]);
    const size_t hash = line.find(" #", from);
    if (hash == kNone) return "";
    const size_t begin = line.find_last_not_of(' ', hash);
    std::string comment = line.substr(begin == kNone ? hash : begin + 1);
    while (!comment.empty() && comment.back() == '\r') comment.pop_back();
    return comment;
  }

  StatusOr<KeyAt> Key(size_t line, const std::string& path, const std::string& key) const {
    if (line >= text_.size()) return Refused(0, path + ": can't be found");
    if (std::optional<KeyAt> found = yaml::FindKey(text_[line], key)) return *found;
    return Refused(line, path + ": does not begin its line");
  }
  // Counted from 0.
  size_t LineOf(const std::string& path) const {
    auto it = document_.lines.find(path);
    return it == document_.lines.end() ? kNone : static_cast<size_t>(it->second - 1);
  }
  Status Refused(size_t line, const std::string& why) const {
    return FailedPrecondition(file_ + ":" + std::to_string(line + 1) + ": " + why);
  }

  Text& text_;
  const std::string& file_;
  const Document& document_;
  const std::vector<std::string>& path_;
  const Json& members_;
};

}  // namespace

Json PatchedMembers(Json document, const std::vector<std::string>& path, const Json& members) {
  Json* map = &document;
  for (const std::string& name : path) {
    if (!map->is_object()) *map = Json::object();
    map = &(*map)[name];
  }
  if (!map->is_object()) *map = Json::object();
  for (const auto& [name, value] : members.items()) {
    if (value.is_null()) {
      map->erase(name);
    } else {
      (*map)[name] = value;
    }
  }
  return document;
}

StatusOr<std::string> WithMembers(std::string_view bytes, const std::string& file_name,
                                  const std::vector<std::string>& path, const Json& members) {
  std::vector<Violation> violations;
  const std::vector<Document> before = ReadDocuments(bytes, &violations);
  if (!violations.empty()) {
    violations.front().file = file_name;
    return InvalidArgument(ToString(violations.front()));
  }
  if (before.size() != 1 || !before[0].value.is_object())
    return InvalidArgument(file_name + ": is not one YAML document that is a map");
  Text text(bytes);
  RETURN_IF_ERROR(MapEditor(&text, file_name, before[0], path, members).Edit());
  std::string edited = text.ToString();
  const std::vector<Document> after = ReadDocuments(edited, &violations);
  if (!violations.empty() || after.size() != 1 || after[0].value != PatchedMembers(before[0].value, path, members))
    return FailedPrecondition(file_name + ": can't be edited without changing more than " + Join(path, "."));
  return edited;
}

}  // namespace mcpfleet
