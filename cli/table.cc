#include "cli/table.h"

#include <algorithm>
#include <ostream>

namespace mcpfleet::cli {
namespace {

size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

void Table::Print(std::ostream& out, bool with_headers) const {
  std::vector<const std::vector<std::string>*> lines;
  if (with_headers) lines.push_back(&headers_);
  for (const auto& row : rows_) lines.push_back(&row);
  std::vector<size_t> widths(headers_.size());
  for (const auto* line : lines) {
    for (size_t i = 0; i < line->size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], Width((*line)[i]));
  }
  for (const auto* line : lines) {
    std::string text;
    for (size_t i = 0; i < line->size() && i < widths.size(); ++i) {
      text += (*line)[i];
      if (i + 1 < line->size()) text.append(widths[i] - Width((*line)[i]) + 3, ' ');
    }
    out << text << "\n";
  }
}

}  // namespace mcpfleet::cli
