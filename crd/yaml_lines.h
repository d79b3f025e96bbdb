// The lines of a YAML file that is changed in a few places and must stay as its author wrote it everywhere else:
// crd/pins_edit and crd/map_edit. It knows how block style looks, not what YAML means: whoever uses it reads the result
// back and compares. Internal to crd/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace mcpfleet::yaml {

inline constexpr size_t kNone = std::string::npos;

// A carriage return stays part of its line, so that what is not touched stays as it is.
class Text {
 public:
  explicit Text(std::string_view bytes);
  size_t size() const { return lines_.size(); }
  std::string& operator[](size_t i) { return lines_[i]; }
  const std::string& operator[](size_t i) const { return lines_[i]; }
  void Erase(size_t from, size_t to);
  // The lines of `yaml`, indented.
  void Insert(size_t at, size_t indent, const std::string& yaml);
  std::string ToString() const;
  // "" or a carriage return: what stands before each line break.
  const std::string& end() const { return end_; }

  bool HasContent(size_t i) const;
  size_t Indent(size_t i) const { return lines_[i].find_first_not_of(' '); }
  // The line after the last one of the block below a key at `column`. A comment belongs to it when it is indented so.
  size_t EndOfBlock(size_t key_line, size_t column) const;
  // The column of what stands below a key at `column`.
  size_t ChildColumn(size_t key_line, size_t column) const;

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
std::optional<KeyAt> FindKey(const std::string& line, const std::string& key);

// `key: {…}  # comment` becomes `key:  # comment` and a block below. "" when done, else why it can't be.
std::string ReplaceBraces(Text* text, size_t line, const KeyAt& at, const Json& value);

}  // namespace mcpfleet::yaml
