#include "cli/convert/json_comments.h"

namespace mcpfleet::convert {
namespace {

// The index behind the string that begins at `at`.
size_t EndOfString(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

size_t EndOfComment(std::string_view text, size_t at) {
  const bool line = text[at + 1] == '/';
  const size_t end = line ? text.find('\n', at) : text.find("*/", at + 2);
  if (end == std::string_view::npos) return text.size();
  return line ? end : end + 2;
}

}  // namespace

std::string WithoutJsonComments(std::string_view text) {
  std::string out(text);
  size_t comma = std::string::npos;  // the last one that nothing has followed yet
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '/' && i + 1 < text.size() && (text[i + 1] == '/' || text[i + 1] == '*')) {
      const size_t end = EndOfComment(text, i);
      for (; i < end; ++i) {
        if (out[i] != '\n') out[i] = ' ';
      }
      continue;
    }
    if ((c == '}' || c == ']') && comma != std::string::npos) out[comma] = ' ';
    if (c == ',') {
      comma = i;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      comma = std::string::npos;
    }
    i = c == '"' ? EndOfString(text, i) : i + 1;
  }
  return out;
}

}  // namespace mcpfleet::convert
