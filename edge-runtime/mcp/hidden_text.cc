#include "edge-runtime/mcp/hidden_text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::mcp {
namespace {

struct Range {
  uint32_t first, last;
};

// Unicode's Default_Ignorable_Code_Point, and what else is drawn as nothing: the controls but tab and line ends, the
// line and paragraph separators, interlinear annotations.
constexpr Range kInvisible[] = {
    {0x00, 0x08},       {0x0b, 0x0c},       {0x0e, 0x1f},      {0x7f, 0x9f},     {0xad, 0xad},     {0x34f, 0x34f},
    {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},  {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},  {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};
// Arabic to Sinhala and the scripts of South East Asia: their spelling uses joiners.
constexpr Range kJoining[] = {{0x600, 0x8ff}, {0x900, 0xdff}, {0x1000, 0x109f}, {0x1780, 0x17ff}, {0xa840, 0xabff}};
constexpr Range kSymbols[] = {{0x2190, 0x2bff}, {0x3030, 0x303d}, {0x3297, 0x3299}, {0x1f000, 0x1faff}};

template <size_t N>
bool In(const Range (&ranges)[N], uint32_t c) {
  for (const Range& range : ranges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

bool IsSelector(uint32_t c) { return c == 0xfe0e || c == 0xfe0f; }
// What may have a presentation selector: symbols, and the digits of keycaps.
bool IsSymbol(uint32_t c) {
  return In(kSymbols, c) || (c >= '0' && c <= '9') || c == '#' || c == '*' || c == 0xa9 || c == 0xae || c == 0x203c ||
         c == 0x2049 || c == 0x2122 || c == 0x2139;
}

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
};
// The character at `at`; a byte that begins none counts as one that everybody sees.
Character Decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return {0xfffd, 1};
  uint32_t code = lead & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0xfffd, 1};
    code = code << 6 | (byte(i) & 0x3f);
  }
  return {code, bytes};
}

// Calls `each(bytes, code, hidden)` for every character.
void Walk(std::string_view text, const std::function<void(std::string_view, uint32_t, bool)>& each) {
  uint32_t before = 0, visible = 0;  // the character before, and the last one that is no selector
  for (size_t at = 0; at < text.size();) {
    const Character now = Decode(text, at);
    bool hidden = In(kInvisible, now.code);
    if (IsSelector(now.code) && IsSymbol(before)) hidden = false;
    if (now.code == 0x200c || now.code == 0x200d) {
      const uint32_t next = at + now.bytes < text.size() ? Decode(text, at + now.bytes).code : 0;
      const bool letters = In(kJoining, before) && In(kJoining, next);
      const bool symbols = now.code == 0x200d && In(kSymbols, visible) && In(kSymbols, next) &&
                           (before == visible || IsSelector(before));
      hidden = !letters && !symbols;
    }
    each(text.substr(at, now.bytes), now.code, hidden);
    before = now.code;
    if (!IsSelector(now.code)) visible = now.code;
    at += now.bytes;
  }
}

// Whether any key or text of a schema has some. Recurses as deep as the parser let it be.
bool InSchema(const Json& value) {
  if (value.is_string()) return HasHiddenCharacters(value.get_ref<const std::string&>());
  if (!value.is_structured()) return false;
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (value.is_object() && HasHiddenCharacters(it.key())) return true;
    if (InSchema(*it)) return true;
  }
  return false;
}

}  // namespace

bool HasHiddenCharacters(std::string_view text) {
  // Most text is plain ASCII.
  const auto plain = [](unsigned char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t'; };
  if (std::all_of(text.begin(), text.end(), plain)) return false;
  bool found = false;
  Walk(text, [&](std::string_view, uint32_t, bool hidden) { found = found || hidden; });
  return found;
}

std::string ShowHiddenCharacters(std::string_view text) {
  std::string out;
  Walk(text, [&](std::string_view bytes, uint32_t code, bool hidden) {
    if (!hidden) {
      out += bytes;
      return;
    }
    char escape[16];
    std::snprintf(escape, sizeof escape, "\\u{%x}", code);
    out += escape;
  });
  return out;
}

std::vector<std::string> HiddenTextOf(const Json& tool) {
  std::vector<std::string> out;
  const std::string name = GetString(tool, "name");
  const std::string of = " of " + Printable(ShowHiddenCharacters(name), 128);
  if (HasHiddenCharacters(name)) out.push_back("the name" + of);
  if (InSchema(GetMember(tool, "title")) || InSchema(GetMember(tool, "annotations"))) out.push_back("the title" + of);
  if (InSchema(GetMember(tool, "description"))) out.push_back("the description" + of);
  if (InSchema(GetMember(tool, "inputSchema")) || InSchema(GetMember(tool, "outputSchema")))
    out.push_back("the schemas" + of);
  return out;
}

}  // namespace mcpfleet::mcp
