#include "cli/convert/expand.h"

#include <algorithm>

namespace mcpfleet::convert {
namespace {

bool IsNameLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct Found {
  std::string_view name, fallback;
  bool has_fallback = false;
  size_t length = 0;  // with its dollar; 0: there is none
};

Found FindBraces(std::string_view rest, Dollar dollar) {
  const size_t close = rest.find('}');
  if (close == std::string_view::npos) return {};
  Found found{.name = rest.substr(2, close - 2), .fallback = {}, .has_fallback = false, .length = close + 1};
  for (std::string_view mark : {":-", "-", ":?", "?"}) {
    if (dollar == Dollar::kBraces && mark != ":-") continue;
    const size_t at = found.name.find(mark);
    // Before the mark stands a name and nothing else.
    if (at == std::string_view::npos ||
        !std::all_of(found.name.begin(), found.name.begin() + static_cast<long>(at), IsNameLetter))
      continue;
    found.has_fallback = mark.ends_with('-');
    found.fallback = found.name.substr(at + mark.size());
    found.name = found.name.substr(0, at);
    break;
  }
  return found;
}

Found FindPlaceholder(std::string_view rest, Dollar dollar) {
  if (rest.size() > 1 && rest[1] == '{') return FindBraces(rest, dollar);
  if (dollar != Dollar::kCompose) return {};
  const auto* end = std::find_if_not(rest.begin() + 1, rest.end(), IsNameLetter);
  const auto length = static_cast<size_t>(end - rest.begin());
  if (length < 2) return {};
  return {.name = rest.substr(1, length - 1), .fallback = {}, .has_fallback = false, .length = length};
}

}  // namespace

Text Expand(std::string_view raw, std::string path, Dollar dollar, const Lookup& lookup) {
  Text text{.value = "", .path = std::move(path)};
  while (!raw.empty()) {
    const size_t at = std::min(raw.find('$'), raw.size());
    text.value += raw.substr(0, at);
    raw.remove_prefix(at);
    if (raw.empty()) break;
    if (dollar == Dollar::kCompose && raw.starts_with("$$")) {
      text.value += '$';
      raw.remove_prefix(2);
      continue;
    }
    const Found found = FindPlaceholder(raw, dollar);
    if (found.length == 0) {
      text.value += '$';
      raw.remove_prefix(1);
      continue;
    }
    const Replacement replacement = lookup(found.name);
    if (replacement.unknown.empty()) {
      text.value += replacement.value;
    } else if (found.has_fallback) {
      text.value += found.fallback;
    } else {
      if (text.unknown.empty()) text.unknown = replacement.unknown;
      text.value += raw.substr(0, found.length);
    }
    text.secret = text.secret || replacement.secret;
    raw.remove_prefix(found.length);
  }
  return text;
}

}  // namespace mcpfleet::convert
