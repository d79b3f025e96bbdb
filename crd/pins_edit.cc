#include "crd/pins_edit.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"
#include "crd/violation.h"
#include "crd/yaml_lines.h"
#include "crd/yaml_reader.h"

namespace mcpfleet {
namespace {

using Pins = std::map<std::string, std::string>;
using yaml::FindKey;
using yaml::KeyAt;
using yaml::kNone;
using yaml::Text;

// Where a server stands in a file.
struct Place {
  size_t document = 0;
  Json::json_pointer pointer;  // to the object inside the document
  std::string prefix;          // of its paths: "" or "items[2]."
};

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

  Status ReplaceBraces(size_t line, const KeyAt& at, const std::string& path, const Json& value) {
    const std::string why = yaml::ReplaceBraces(&text_, line, at, value);
    return why.empty() ? OkStatus() : Refused(line, path + ": " + why);
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
