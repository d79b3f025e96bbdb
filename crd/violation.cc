#include "crd/violation.h"

#include "base/strings.h"

namespace mcpfleet {
namespace {
bool IsPlainKey(std::string_view key) {
  for (char c : key) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!plain) return false;
  }
  return !key.empty();
}
}  // namespace

std::string ToString(const Violation& violation) {
  std::string out;
  if (!violation.file.empty()) {
    out += violation.file;
    if (violation.line > 0) out += ":" + std::to_string(violation.line);
    out += ": ";
  }
  if (!violation.path.empty()) out += Printable(violation.path, 300) + ": ";
  out += Printable(violation.problem, 600);
  if (!violation.allowed.empty()) out += "; allowed: " + Printable(violation.allowed, 1200);
  return out;
}

std::string ToString(const std::vector<Violation>& violations) {
  std::vector<std::string> lines;
  lines.reserve(violations.size());
  for (const Violation& violation : violations) lines.push_back(ToString(violation));
  return Join(lines, "\n");
}

std::string ChildPath(std::string_view parent, std::string_view key) {
  std::string out(parent);
  if (!IsPlainKey(key)) return out.append("[").append(key).append("]");
  if (!out.empty()) out += '.';
  return out.append(key);
}

std::string ItemPath(std::string_view parent, size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

}  // namespace mcpfleet
