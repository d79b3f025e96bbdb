#include "crd/yaml_reader.h"

#include <charconv>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "base/limits.h"
#include "base/strings.h"
#include "crd/tree_builder.h"

namespace mcpfleet {
namespace {

bool AllDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view WithoutSign(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text;
}

bool IsFloat(std::string_view text) {
  text = WithoutSign(text);
  if (text == ".inf" || text == ".Inf" || text == ".INF" || text == ".nan" || text == ".NaN" || text == ".NAN")
    return true;
  size_t digits = 0, i = 0;
  bool point = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
    } else if (text[i] >= '0' && text[i] <= '9') {
      ++digits;
    } else {
      break;
    }
  }
  if (digits == 0) return false;
  if (i == text.size()) return point;
  if (text[i] != 'e' && text[i] != 'E') return false;
  return AllDigits(WithoutSign(text.substr(i + 1)));
}

// 0x1f, 0o17; nullopt-like false when it does not fit.
bool ParseRadix(std::string_view digits, int base, int64_t* out) {
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out, base);
  return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

bool LooksOctal(std::string_view text) {
  text = WithoutSign(text);
  return text.size() > 1 && text.front() == '0' && AllDigits(text);
}

// The 1-based column of a mark, in characters: yaml-cpp counts bytes.
int ColumnOf(std::string_view text, const YAML::Mark& mark) {
  if (mark.column < 0 || mark.pos < mark.column || static_cast<size_t>(mark.pos) > text.size()) return 0;
  int column = 1;
  const size_t begin = static_cast<size_t>(mark.pos - mark.column);
  for (const char c : text.substr(begin, static_cast<size_t>(mark.column))) column += (c & 0xc0) != 0x80 ? 1 : 0;
  return column;
}

class YamlHandler final : public YAML::EventHandler {
 public:
  YamlHandler(std::string_view text, std::vector<Violation>* violations, TreeBuilder::Budget* budget)
      : builder(violations, budget), text_(text) {}
  void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    builder.column = ColumnOf(text_, mark);
    if (builder.WantsKey()) builder.Trap(mark.line + 1, "", "a key is empty; keys must be text");
    builder.Scalar(nullptr, 0, mark.line + 1, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    builder.column = ColumnOf(text_, mark);
    builder.Alias(anchor, mark.line + 1);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    int line = mark.line + 1;
    builder.column = ColumnOf(text_, mark);
    Json value = Resolve(tag, text, line);
    if (builder.WantsKey()) {
      if (value.is_string()) return builder.Key(text, line);
      builder.Trap(line, "",
                   "key " + Printable(text, 60) + " is not text; write it in quotes: \"" + Printable(text, 60) + "\"");
    }
    builder.Scalar(std::move(value), text.size(), line, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    builder.column = ColumnOf(text_, mark);
    CheckTag(tag, "seq", mark.line + 1);
    builder.StartList(mark.line + 1, anchor);
  }
  void OnSequenceEnd() override { builder.End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    builder.column = ColumnOf(text_, mark);
    CheckTag(tag, "map", mark.line + 1);
    builder.StartMap(mark.line + 1, anchor);
  }
  void OnMapEnd() override { builder.End(); }

  TreeBuilder builder;
  YAML::Mark start;

 private:
  void CheckTag(const std::string& tag, std::string_view wanted, int line) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:" + std::string(wanted)) return;
    builder.Trap(line, "", "tag " + Printable(tag, 80) + " is not supported; write plain YAML");
  }
  Json Resolve(const std::string& tag, const std::string& text, int line) {
    if (text.find('\0') != std::string::npos) builder.Trap(line, "", "a NUL character in a string");
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return text;  // quoted, block, or !!str
    if (!tag.empty() && tag != "?") CheckTag(tag, "str", line);
    if (LooksOctal(text)) {
      builder.Report(line, builder.WantsKey() ? "" : builder.NextPath(),
                     "number " + Printable(text, 40) +
                         " begins with 0, which YAML versions read differently; write it in "
                         "quotes if it is text, without the 0 (or as 0o…) if it is a number");
    }
    return ResolvePlainScalar(text);
  }

  const std::string_view text_;
};

// Where the JSON lexer is. After a number it has consumed one character more, which may be the line's end.
struct JsonPosition {
  int newlines = 0;
  char last = 0;
  int column = 0;  // of the last token that began, in characters
  int line() const { return newlines + (last == '\n' ? 0 : 1); }

  void Consume(char c) {
    if ((c & 0xc0) != 0x80) ++at_;
    if (in_text_) {
      if (!escaped_ && c == '"') in_text_ = in_token_ = false;
      escaped_ = !escaped_ && c == '\\';
    } else {
      const bool opens = c == '{' || c == '[';
      const bool between = c == ' ' || c == '\t' || c == '\n' || c == ',' || c == ':' || c == '}' || c == ']';
      if (!between && (opens || !in_token_)) column = at_;
      in_token_ = !between && !opens;
      in_text_ = c == '"';
    }
    if (c == '\n') {
      ++newlines;
      at_ = 0;
    }
    last = c;
  }

 private:
  int at_ = 0;
  bool in_token_ = false, in_text_ = false, escaped_ = false;
};

// Counts the lines that the lexer has consumed.
class LineIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  LineIterator(const char* at, JsonPosition* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  LineIterator& operator++() {
    position_->Consume(*at_++);
    return *this;
  }
  LineIterator operator++(int) {
    LineIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const LineIterator& other) const { return at_ == other.at_; }
  bool operator!=(const LineIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  JsonPosition* position_;
};

class JsonHandler final : public nlohmann::json_sax<Json> {
 public:
  JsonHandler(std::vector<Violation>* violations, TreeBuilder::Budget* budget, const JsonPosition* position)
      : builder(violations, budget), position_(position) {}
  bool null() override { return Add(nullptr, 0); }
  bool boolean(bool value) override { return Add(value, 1); }
  bool number_integer(number_integer_t value) override { return Add(value, 8); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value, 8); }
  bool number_float(number_float_t value, const string_t&) override { return Add(value, 8); }
  bool string(string_t& text) override {
    builder.column = position_->column;
    if (text.find('\0') != std::string::npos) builder.Trap(position_->line(), "", "a NUL character in a string");
    return Add(text, text.size());
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override {
    builder.column = position_->column;
    builder.StartMap(position_->line(), 0);
    return true;
  }
  bool key(string_t& text) override {
    builder.column = position_->column;
    if (text.find('\0') != std::string::npos) builder.Trap(position_->line(), "", "a NUL character in a string");
    builder.Key(text, position_->line());
    return true;
  }
  bool end_object() override { return End(); }
  bool start_array(std::size_t) override {
    builder.column = position_->column;
    builder.StartList(position_->line(), 0);
    return true;
  }
  bool end_array() override { return End(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  TreeBuilder builder;

 private:
  bool Add(Json value, size_t bytes) {
    builder.column = position_->column;
    builder.Scalar(std::move(value), bytes, position_->line(), 0);
    return true;
  }
  bool End() {
    builder.End();
    return true;
  }
  const JsonPosition* position_;
};

bool StartsLikeJson(std::string_view text) {
  size_t at = text.find_first_not_of(" \t\n");
  return at != std::string_view::npos && (text[at] == '{' || text[at] == '[');
}

// {"a or [{: people don't write YAML that begins so.
bool IsSurelyJson(std::string_view text) {
  size_t at = text.find_first_not_of(" \t\n");
  if (at == std::string_view::npos) return false;
  size_t next = text.find_first_not_of(" \t\n", at + 1);
  if (next == std::string_view::npos) return false;
  return (text[at] == '{' && text[next] == '"') || (text[at] == '[' && text[next] == '{');
}

Document Take(TreeBuilder& builder) {
  return {std::move(builder.root), std::move(builder.lines), std::move(builder.columns), builder.line};
}

// False when it is not JSON (flow-style YAML begins like it); then nothing was reported and `error_line` is set.
bool ReadJson(std::string_view text, std::vector<Document>* documents, std::vector<Violation>* violations,
              int* error_line) {
  TreeBuilder::Budget budget;
  std::vector<Violation> found;
  JsonPosition position;
  JsonHandler handler(&found, &budget, &position);
  try {
    LineIterator first(text.data(), &position), last(text.data() + text.size(), &position);
    if (!Json::sax_parse(first, last, &handler)) {
      *error_line = position.line();
      return false;
    }
    documents->push_back(Take(handler.builder));
  } catch (const TreeAbort&) {
    // what was trapped is in `found`
  }
  violations->insert(violations->end(), found.begin(), found.end());
  return true;
}

// Tabs as indentation: some parsers take them, each with another width. Block scalars may contain them.
int FindTabIndent(std::string_view text) {
  int line = 0;
  size_t block_indent = std::string_view::npos;  // of the line that opened a block scalar
  while (!text.empty()) {
    ++line;
    std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    size_t spaces = std::min(row.find_first_not_of(' '), row.size());
    std::string_view rest = row.substr(spaces);
    if (Trim(rest).empty()) continue;
    if (block_indent != std::string_view::npos) {
      if (spaces > block_indent) continue;
      block_indent = std::string_view::npos;
    }
    if (rest.front() == '\t') return line;
    std::string_view head = Trim(rest.substr(0, rest.find(" #")));
    while (!head.empty() && (head.back() == '-' || head.back() == '+' || (head.back() >= '1' && head.back() <= '9'))) {
      head.remove_suffix(1);
    }
    bool opens = !head.empty() && (head.back() == '|' || head.back() == '>');
    if (opens && (head.size() == 1 || head[head.size() - 2] == ' ')) block_indent = spaces;
  }
  return 0;
}

void ReadYaml(const std::string& text, std::vector<Document>* documents, std::vector<Violation>* violations) {
  if (int line = FindTabIndent(text); line > 0) {
    violations->push_back({"", line, "", "a tab is used for indentation; use spaces", ""});
    return;
  }
  TreeBuilder::Budget budget;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    for (int before = -1;;) {
      YamlHandler handler(text, violations, &budget);
      if (!parser.HandleNextDocument(handler)) return;
      // yaml-cpp consumes no stray "," or "]": it would find one empty document after the other there, for ever.
      if (handler.start.pos == before)
        handler.builder.Trap(handler.start.line + 1, "", "not valid YAML: a stray , ] or }");
      before = handler.start.pos;
      if (handler.builder.empty() || handler.builder.root.is_null()) continue;
      documents->push_back(Take(handler.builder));
    }
  } catch (const TreeAbort&) {
    // reported where it was found
  } catch (const YAML::Exception& error) {
    violations->push_back(
        {"", error.mark.line + 1, "", "not valid YAML: " + error.msg, "", ColumnOf(text, error.mark)});
  } catch (const std::exception& error) {
    violations->push_back({"", 0, "", std::string("not valid YAML: ") + error.what(), ""});
  }
}

// CRLF becomes LF; a byte-order mark goes. Reports what no text file has.
bool CheckText(std::string_view bytes, std::string* text, std::vector<Violation>* violations) {
  auto refuse = [&](int line, std::string problem) {
    violations->push_back({"", line, "", std::move(problem), ""});
    return false;
  };
  if (bytes.size() > limits::kManifestBytes) return refuse(0, "is larger than 10 MB");
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return refuse(1, "is UTF-16; save it as UTF-8");
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  text->reserve(bytes.size());
  int line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(bytes[i]);
    if (c == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
    if (c == 0) return refuse(line, "contains a NUL byte; this is not a text file");
    if (c < 0x20 && c != '\n' && c != '\t')
      return refuse(line, "contains control character " + Printable(bytes.substr(i, 1)));
    text->push_back(bytes[i]);
    if (c != '\n' && i + 1 != bytes.size()) continue;
    if (!IsUtf8(bytes.substr(line_start, i + 1 - line_start))) return refuse(line, "is not valid UTF-8");
    ++line;
    line_start = i + 1;
  }
  return true;
}

}  // namespace

Json ResolvePlainScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t number = 0;
  std::string_view digits = WithoutSign(text);
  if (AllDigits(digits)) {
    std::string_view parse = text.front() == '+' ? digits : std::string_view(text);
    if (ParseRadix(parse, 10, &number)) return number;
    return std::strtod(text.c_str(), nullptr);  // beyond 64 bits: no whole number that we can hold
  }
  if (text.starts_with("0x") && ParseRadix(std::string_view(text).substr(2), 16, &number) && number >= 0 &&
      text[2] != '-')
    return number;
  if (text.starts_with("0o") && ParseRadix(std::string_view(text).substr(2), 8, &number) && number >= 0 &&
      text[2] != '-')
    return number;
  if (IsFloat(text)) return std::strtod(text.c_str(), nullptr);
  return text;
}

std::vector<Document> ReadDocuments(std::string_view bytes, std::vector<Violation>* violations) {
  std::vector<Document> documents;
  std::string text;
  if (!CheckText(bytes, &text, violations)) return documents;
  int json_error_line = 0;
  if (StartsLikeJson(text) && ReadJson(text, &documents, violations, &json_error_line)) return documents;
  size_t before = violations->size();
  ReadYaml(text, &documents, violations);
  if (violations->size() > before && IsSurelyJson(text)) {
    violations->resize(before);
    violations->push_back({"", json_error_line, "", "not valid JSON", ""});
  }
  return documents;
}

}  // namespace mcpfleet
