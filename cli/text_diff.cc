#include "cli/text_diff.h"

#include <algorithm>
#include <vector>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

struct Line {
  char mark;  // ' ', '-', '+'
  const std::string* text;
};

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines = Split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// Longest common subsequence: manifests are some hundred lines, so the square table is small.
std::vector<Line> Align(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::vector<unsigned>> table(a.size() + 1, std::vector<unsigned>(b.size() + 1, 0));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      table[i][j] = a[i] == b[j] ? table[i + 1][j + 1] + 1 : std::max(table[i + 1][j], table[i][j + 1]);
    }
  }
  std::vector<Line> out;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out.push_back({' ', &a[i++]});
      ++j;
    } else if (i < a.size() && (j == b.size() || table[i + 1][j] >= table[i][j + 1])) {
      out.push_back({'-', &a[i++]});
    } else {
      out.push_back({'+', &b[j++]});
    }
  }
  return out;
}

// An empty range begins at the line before it, as diff(1) writes it.
std::string Range(size_t line, size_t count) {
  return std::to_string(count == 0 ? line - 1 : line) + "," + std::to_string(count);
}

}  // namespace

std::string UnifiedDiff(std::string_view before, std::string_view after, const std::string& before_name,
                        const std::string& after_name, bool color) {
  if (before == after) return "";
  constexpr size_t kContext = 3;
  std::vector<std::string> a = Lines(before), b = Lines(after);
  std::vector<Line> lines = Align(a, b);
  std::vector<bool> shown(lines.size(), false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].mark == ' ') continue;
    for (size_t k = i < kContext ? 0 : i - kContext; k < std::min(lines.size(), i + kContext + 1); ++k) shown[k] = true;
  }
  const auto paint = [&](char mark, const std::string& text) {
    if (!color || mark == ' ') return text + "\n";
    return std::string(mark == '-' ? "\033[31m" : mark == '+' ? "\033[32m" : "\033[36m") + text + "\033[0m\n";
  };
  std::string out = "--- " + before_name + "\n+++ " + after_name + "\n";
  size_t line_a = 1, line_b = 1;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (shown[i] && (i == 0 || !shown[i - 1])) {
      size_t count_a = 0, count_b = 0;
      for (size_t k = i; k < lines.size() && shown[k]; ++k) {
        count_a += lines[k].mark != '+' ? 1 : 0;
        count_b += lines[k].mark != '-' ? 1 : 0;
      }
      out += paint('@', "@@ -" + Range(line_a, count_a) + " +" + Range(line_b, count_b) + " @@");
    }
    if (shown[i]) out += paint(lines[i].mark, lines[i].mark + *lines[i].text);
    line_a += lines[i].mark != '+' ? 1 : 0;
    line_b += lines[i].mark != '-' ? 1 : 0;
  }
  return out;
}

}  // namespace mcpfleet::cli
