// ObjectToYaml: YAML that people read and that every YAML reader, of version 1.1 too, reads back as the same value.
#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"
#include "crd/yaml_reader.h"

namespace mcpfleet {
namespace {

// Members that come first, in this order, wherever they stand.
constexpr const char* kFirst[] = {"apiVersion", "kind", "metadata", "spec", "status", "name", "namespace", "type"};

int Rank(const std::string& key) {
  for (size_t i = 0; i < std::size(kFirst); ++i) {
    if (key == kFirst[i]) return static_cast<int>(i);
  }
  return static_cast<int>(std::size(kFirst));
}

// Whether some YAML reader takes the plain text for something else.
bool NeedsQuotes(const std::string& text) {
  if (text.empty() || !ResolvePlainScalar(text).is_string()) return true;
  static const std::vector<std::string> words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
  if (std::find(words.begin(), words.end(), ToLower(text)) != words.end()) return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=<~+. \t").find(text.front()) != std::string_view::npos) return true;
  // Version 1.1 has 1_000, 0b1, 1:30 and dates.
  bool digit_first = text.front() >= '0' && text.front() <= '9';
  if (digit_first && text.find_first_not_of("0123456789abcdefABCDEFxobeE_.:-+TZ ") == std::string::npos) return true;
  if (text.back() == ' ' || text.back() == ':' || text.back() == '\t') return true;
  return text.find(": ") != std::string::npos || text.find(" #") != std::string::npos;
}

bool IsPrintable(const std::string& text) {
  if (!IsUtf8(text)) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    // U+0080..U+009F, U+2028, U+2029 and the byte-order mark.
    std::string_view rest = std::string_view(text).substr(i);
    if (c == 0xc2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xa0) return false;
    if (rest.starts_with("\u2028") || rest.starts_with("\u2029") || rest.starts_with("\ufeff")) return false;
  }
  return true;
}

std::string DoubleQuoted(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string ScalarText(const Json& value) {
  if (!value.is_string()) return DumpJson(value);
  const std::string& text = value.get_ref<const std::string&>();
  if (!IsPrintable(text)) {
    // JSON escapes characters beyond the basic plane as two surrogates, which YAML has not: leave those as they are.
    return IsUtf8(text) ? Json(text).dump() : DoubleQuoted(text);
  }
  return NeedsQuotes(text) ? "\"" +
                                 [&] {
                                   std::string out;
                                   for (char c : text) {
                                     if (c == '"' || c == '\\') out += '\\';
                                     out += c;
                                   }
                                   return out;
                                 }() +
                                 "\""
                           : text;
}

// Several lines as a block: every line printable, none beginning with a space.
bool FitsBlock(const Json& value) {
  if (!value.is_string()) return false;
  const std::string& text = value.get_ref<const std::string&>();
  if (text.find('\n') == std::string::npos || text.front() == '\n' || text.ends_with("\n\n")) return false;
  for (const std::string& line : Split(text, '\n')) {
    if (!IsPrintable(line) || (!line.empty() && (line.front() == ' ' || Trim(line).empty()))) return false;
  }
  return true;
}

void WriteBlock(const std::string& text, const std::string& indent, std::string* out) {
  *out += text.ends_with("\n") ? "|\n" : "|-\n";
  std::vector<std::string> lines = Split(text, '\n');
  if (text.ends_with("\n")) lines.pop_back();
  for (const std::string& line : lines) *out += line.empty() ? "\n" : indent + line + "\n";
}

void Write(const Json& value, const std::string& indent, std::string* out);

void WriteMember(const Json& value, const std::string& indent, std::string* out) {
  if (value.is_structured() && !value.empty()) {
    *out += "\n";
    // Lists stand at their key's own indentation, as kubectl prints them.
    Write(value, value.is_array() ? indent : indent + "  ", out);
  } else if (FitsBlock(value)) {
    *out += " ";
    WriteBlock(value.get_ref<const std::string&>(), indent + "  ", out);
  } else {
    *out += " " + ScalarText(value) + "\n";
  }
}

void WriteMap(const Json& value, const std::string& indent, bool first_is_inline, std::string* out) {
  std::vector<std::string> keys;
  for (auto it = value.begin(); it != value.end(); ++it) keys.push_back(it.key());
  std::stable_sort(keys.begin(), keys.end(),
                   [](const std::string& a, const std::string& b) { return Rank(a) < Rank(b); });
  for (const std::string& key : keys) {
    if (!first_is_inline) *out += indent;
    first_is_inline = false;
    *out += ScalarText(key) + ":";
    WriteMember(value.at(key), indent, out);
  }
}

void Write(const Json& value, const std::string& indent, std::string* out) {
  if (value.is_object() && !value.empty()) return WriteMap(value, indent, false, out);
  if (!value.is_array() || value.empty()) {
    *out += indent + ScalarText(value) + "\n";
    return;
  }
  for (const Json& item : value) {
    *out += indent + "-";
    if (item.is_object() && !item.empty()) {
      *out += " ";
      WriteMap(item, indent + "  ", true, out);
    } else if (item.is_array() && !item.empty()) {
      *out += "\n";
      Write(item, indent + "  ", out);
    } else if (FitsBlock(item)) {
      *out += " ";
      WriteBlock(item.get_ref<const std::string&>(), indent + "  ", out);
    } else {
      *out += " " + ScalarText(item) + "\n";
    }
  }
}

}  // namespace

std::string ObjectToYaml(const Json& json) {
  std::string out;
  Write(json, "", &out);
  return out;
}

}  // namespace mcpfleet
