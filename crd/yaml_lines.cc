#include "crd/yaml_lines.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"

namespace mcpfleet::yaml {
namespace {

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

}  // namespace

Text::Text(std::string_view bytes) : lines_(Split(bytes, '\n')), end_(bytes.find("\r\n") == kNone ? "" : "\r") {
  if (lines_.back().empty()) {
    lines_.pop_back();
    last_ends_ = true;
  }
}

void Text::Erase(size_t from, size_t to) {
  lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(from), lines_.begin() + static_cast<std::ptrdiff_t>(to));
}

void Text::Insert(size_t at, size_t indent, const std::string& yaml) {
  std::vector<std::string> added;
  for (const std::string& line : Split(yaml, '\n')) {
    if (!line.empty()) added.push_back(std::string(indent, ' ') + line + end_);
  }
  lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(at), added.begin(), added.end());
}

std::string Text::ToString() const { return Join(lines_, "\n") + (last_ends_ ? "\n" : ""); }

bool Text::HasContent(size_t i) const {
  const std::string_view line = Trim(lines_[i]);
  return !line.empty() && line.front() != '#';
}

size_t Text::EndOfBlock(size_t key_line, size_t column) const {
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

size_t Text::ChildColumn(size_t key_line, size_t column) const {
  for (size_t i = key_line + 1, end = EndOfBlock(key_line, column); i < end; ++i) {
    if (HasContent(i)) return Indent(i);
  }
  return column + 2;
}

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

std::string ReplaceBraces(Text* text, size_t line, const KeyAt& at, const Json& value) {
  if ((*text)[line][at.value] != '{') return "is not written as a plain map";
  const auto end = EndOfBraces(*text, line, at.value);
  if (!end) return "has a comment inside its braces";
  const std::string rest = (*text)[end->first].substr(end->second);
  (*text)[line] = (*text)[line].substr(0, (*text)[line].rfind(':', at.value) + 1) + rest;
  text->Erase(line + 1, end->first + 1);
  text->Insert(line + 1, at.column + 2, ObjectToYaml(value));
  return "";
}

}  // namespace mcpfleet::yaml
