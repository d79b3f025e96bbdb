#include "crd/pins_edit.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"
#include "crd/violation.h"
#include "crd/yaml_reader.h"

namespace mcpfleet {
namespace {

using Pins = std::map<std::string, std::string>;
constexpr size_t kNone = std::string::npos;

// Where a server stands in a file.
struct Place {
  size_t document = 0;
  Json::json_pointer pointer;  // to the object inside the document
  std::string prefix;          // of its paths: "" or "items[2]."
};

// The lines of a file. A carriage return stays part of its line, so that what is not touched stays as it is.
class Text {
 public:
  explicit Text(std::string_view bytes) : lines_(Split(bytes, '\n')), end_(bytes.find("\r\n") == kNone ? "" : "\r") {
    if (lines_.back().empty()) {
      lines_.pop_back();
      last_ends_ = true;
    }
  }
  size_t size() const { return lines_.size(); }
  std::string& operator[](size_t i) { return lines_[i]; }
  const std::string& operator[](size_t i) const { return lines_[i]; }
  void Erase(size_t from, size_t to) {
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(from), lines_.begin() + static_cast<std::ptrdiff_t>(to));
  }
  // The lines of `yaml`, indented.
  void Insert(size_t at, size_t indent, const std::string& yaml) {
    std::vector<std::string> added;
    for (const std::string& line : Split(yaml, '\n')) {
      if (!line.empty()) added.push_back(std::string(indent, ' ') + line + end_);
    }
    lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(at), added.begin(), added.end());
  }
  std::string ToString() const { return Join(lines_, "\n") + (last_ends_ ? "\n" : ""); }

  bool HasContent(size_t i) const {
    const std::string_view line = Trim(lines_[i]);
    return !line.empty() && line.front() != '#';
  }
  size_t Indent(size_t i) const { return lines_[i].find_first_not_of(' '); }
  // The line after the last one of the block below a key at `column`. A comment belongs to it when it is indented so.
  size_t EndOfBlock(size_t key_line, size_t column) const {
    size_t end = key_line + 1;
    for (size_t i = key_line + 1; i < lines_.size(); ++i) {
      if (Trim(lines_[i]).empty()) continue;
      if (Indent(i) > column) {
        end = i + 1;
      } else if (HasContent(i)) {
        break;
      }
    }
    return end;
  }
  // The column of what stands below a key at `column`.
  size_t ChildColumn(size_t key_line, size_t column) const {
    for (size_t i = key_line + 1, end = EndOfBlock(key_line, column); i < end; ++i) {
      if (HasContent(i)) return Indent(i);
    }
    return column + 2;
  }

 private:
  std::vector<std::string> lines_;
  const std::string end_;
  bool last_ends_ = false;
};

// The column of a key that begins its line (after the dashes of a list), and where its value begins.
struct KeyAt {
  size_t column = 0;
  size_t value = 0;    // index into the line of the first character of the value; its size when there is none
  bool empty = false;  // nothing, or only a comment, on the key's line
};
std::optional<KeyAt> FindKey(const std::string& line, const std::string& key) {
  size_t at = line.find_first_not_of(' ');
  while (at != kNone && line.compare(at, 2, "- ") == 0) at = line.find_first_not_of(' ', at + 2);
  if (at == kNone) return std::nullopt;
  KeyAt found{.column = at};
  for (const std::string& form : {key, "\"" + key + "\"", "'" + key + "'"}) {
    if (line.compare(at, form.size(), form) != 0) continue;
    size_t colon = line.find_first_not_of(' ', at + form.size());
    if (colon == kNone || line[colon] != ':') continue;
    found.value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
    const std::string_view value = Trim(std::string_view(line).substr(found.value));
    found.empty = value.empty() || value.front() == '#';
    return found;
  }
  return std::nullopt;
}

// After the brace that closes the one at (line, at); nullopt when there is none, or a comment on the way.
std::optional<std::pair<size_t, size_t>> EndOfBraces(const Text& text, size_t line, size_t at) {
  int depth = 0;
  char quote = 0, before = 0;  // the last character that is no space
  for (; line < text.size(); ++line, at = 0) {
    const std::string& row = text[line];
    for (; at < row.size(); ++at) {
      const char c = row[at];
      if (quote != 0) {
        if (c == '\\' && quote == '"') {
          ++at;
        } else if (c == quote) {
          quote = 0;
        }
        continue;
      }
      if ((c == '"' || c == '\'') && (before == '{' || before == '[' || before == ',' || before == ':')) quote = c;
      if (c == '#' && (at == 0 || row[at - 1] == ' ')) return std::nullopt;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return std::pair(line, at + 1);
      if (c != ' ') before = c;
    }
  }
  return std::nullopt;
}

class Editor {
 public:
  Editor(Text* text, const std::string& file, const Document& document, const Place& place, const Pins& pins)
      : text_(*text), file_(file), document_(document), place_(place), pins_(pins) {}

  Status Edit() {
    const Json& spec = GetMember(document_.value.at(place_.pointer), "spec");
    if (!spec.is_object()) return Refused(LineOf("spec"), "spec: is not a map");
    ASSIGN_OR_RETURN(KeyAt at, Key("spec", "spec"));
    const size_t line = LineOf("spec");
    if (!at.empty) return Refused(line, "spec: is written in braces");
    if (spec.contains("tools")) return EditTools(spec["tools"]);
    text_.Insert(text_.EndOfBlock(line, at.column), text_.ChildColumn(line, at.column),
                 ObjectToYaml({{"tools", {{"pins", pins_}}}}));
    return OkStatus();
  }

 private:
  Status EditTools(const Json& tools) {
    ASSIGN_OR_RETURN(KeyAt at, Key("spec.tools", "tools"));
    const size_t line = LineOf("spec.tools");
    Json changed = tools.is_object() ? tools : Json::object();
    changed["pins"] = pins_;
    if (!at.empty) return ReplaceBraces(line, at, "spec.tools", changed);
    if (!tools.is_object() || !tools.contains("pins")) {
      text_.Insert(text_.EndOfBlock(line, at.column), text_.ChildColumn(line, at.column),
                   ObjectToYaml({{"pins", pins_}}));
      return OkStatus();
    }
    return EditPins(tools["pins"]);
  }

  Status EditPins(const Json& old) {
    ASSIGN_OR_RETURN(KeyAt at, Key("spec.tools.pins", "pins"));
    const size_t line = LineOf("spec.tools.pins");
    if (!at.empty) return ReplaceBraces(line, at, "spec.tools.pins", pins_);
    const size_t end = text_.EndOfBlock(line, at.column), child = text_.ChildColumn(line, at.column);
    Json added = pins_;
    std::set<size_t> gone;
    for (auto it = old.begin(); old.is_object() && it != old.end(); ++it) {
      const size_t own = LineOf(ChildPath("spec.tools.pins", it.key()));
      if (own >= text_.size()) return Refused(line, "spec.tools.pins: has a name that is too long");
      auto pin = pins_.find(it.key());
      if (pin == pins_.end()) {
        gone.insert(own);
        continue;
      }
      added.erase(it.key());
      const std::string hash = it->is_string() ? it->get<std::string>() : "";
      const size_t found = hash.empty() ? kNone : text_[own].rfind(hash);
      if (found == kNone) return Refused(own, ChildPath("spec.tools.pins", it.key()) + ": its hash is not on its line");
      text_[own].replace(found, hash.size(), pin->second);
    }
    if (!added.empty()) text_.Insert(end, child, ObjectToYaml(added));
    for (auto it = gone.rbegin(); it != gone.rend(); ++it) text_.Erase(*it, *it + 1);
    return OkStatus();
  }

  // `key: {…}  # comment` becomes `key:  # comment` and a block below.
  Status ReplaceBraces(size_t line, const KeyAt& at, const std::string& path, const Json& value) {
    if (text_[line][at.value] != '{') return Refused(line, path + ": is not written as a plain map");
    auto end = EndOfBraces(text_, line, at.value);
    if (!end) return Refused(line, path + ": has a comment inside its braces");
    const std::string rest = text_[end->first].substr(end->second);
    text_[line] = text_[line].substr(0, text_[line].rfind(':', at.value) + 1) + rest;
    text_.Erase(line + 1, end->first + 1);
    text_.Insert(line + 1, at.column + 2, ObjectToYaml(value));
    return OkStatus();
  }

  StatusOr<KeyAt> Key(const std::string& path, const std::string& key) const {
    const size_t line = LineOf(path);
    if (line >= text_.size()) return Refused(0, path + ": can't be found");
    if (std::optional<KeyAt> found = FindKey(text_[line], key)) return *found;
    return Refused(line, path + ": does not begin its line");
  }
  // Counted from 0.
  size_t LineOf(const std::string& path) const {
    auto it = document_.lines.find(place_.prefix + path);
    return it == document_.lines.end() ? kNone : static_cast<size_t>(it->second - 1);
  }
  Status Refused(size_t line, const std::string& why) const {
    return FailedPrecondition(file_ + ":" + std::to_string(line + 1) + ": " + why +
                              "; mcpctl writes into block style only: put the pins there yourself");
  }

  Text& text_;
  const std::string& file_;
  const Document& document_;
  const Place& place_;
  const Pins& pins_;
};

bool IsServer(const Json& object, const ServerKey& server, const std::string& default_namespace) {
  const Json& metadata = GetMember(object, "metadata");
  return GetString(object, "kind") == kKindServer && GetString(metadata, "name") == server.name &&
         GetString(metadata, "namespace", default_namespace) == server.namespace_;
}

std::optional<Place> FindServer(const std::vector<Document>& documents, const ServerKey& server,
                                const std::string& default_namespace) {
  for (size_t i = 0; i < documents.size(); ++i) {
    const Json& value = documents[i].value;
    if (IsServer(value, server, default_namespace)) return Place{i, Json::json_pointer(), ""};
    const Json& items = GetMember(value, "items");
    for (size_t k = 0; items.is_array() && k < items.size(); ++k) {
      if (IsServer(items[k], server, default_namespace))
        return Place{i, Json::json_pointer("/items/" + std::to_string(k)), ItemPath("items", k) + "."};
    }
  }
  return std::nullopt;
}

}  // namespace

StatusOr<std::string> WithPins(std::string_view bytes, const std::string& file_name, const ServerKey& server,
                               const std::string& default_namespace, const Pins& pins) {
  std::vector<Violation> violations;
  std::vector<Document> before = ReadDocuments(bytes, &violations);
  if (!violations.empty()) {
    violations.front().file = file_name;
    return InvalidArgument(ToString(violations.front()));
  }
  std::optional<Place> place = FindServer(before, server, default_namespace);
  if (!place) return NotFound(file_name + ": does not contain the server " + ToString(server));
  Text text(bytes);
  RETURN_IF_ERROR(Editor(&text, file_name, before[place->document], *place, pins).Edit());

  std::string edited = text.ToString();
  std::vector<Document> after = ReadDocuments(edited, &violations);
  before[place->document].value.at(place->pointer)["spec"]["tools"]["pins"] = pins;
  bool same = violations.empty() && before.size() == after.size();
  for (size_t i = 0; same && i < before.size(); ++i) same = before[i].value == after[i].value;
  if (!same) {
    return FailedPrecondition(file_name + ": " + ToString(server) +
                              ": can't be edited without changing more than the pins; put them there yourself");
  }
  return edited;
}

}  // namespace mcpfleet
