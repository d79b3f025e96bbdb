#include "crd/node_name.h"

#include <algorithm>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/labels.h"

namespace mcpfleet {
namespace {

constexpr size_t kLabel = 63, kSubdomain = 253, kMarkDigits = 8;

// RFC 1123, as apimachinery's IsDNS1123Subdomain: the parts may be longer than a label's 63.
bool IsSubdomain(std::string_view name) {
  const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kSubdomain) return false;
  for (const std::string& part : Split(name, '.')) {
    if (part.empty() || !lower(part.front()) || !lower(part.back())) return false;
    if (!std::all_of(part.begin(), part.end(), [&](char c) { return lower(c) || c == '-'; })) return false;
  }
  return true;
}

}  // namespace

std::string LabelFrom(std::string_view text, size_t most) {
  std::string name;
  for (char c : ToLower(text)) name += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
  while (!name.empty() && name.front() == '-') name.erase(name.begin());
  name.resize(std::min(name.size(), most));
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name;
}

std::string NodeNameOf(const std::string& core_node) {
  if (CheckName(core_node).empty()) return core_node;
  const std::string mark = Sha256Hex(core_node).substr(0, kMarkDigits);
  const std::string name = LabelFrom(core_node, kLabel - 1 - kMarkDigits);
  return (name.empty() ? "node" : name) + "-" + mark;
}

StatusOr<std::string> ParseNodeName(const std::string& given, const std::string& what) {
  if (IsSubdomain(given)) return NodeNameOf(given);
  return InvalidArgument(what + " \"" + Printable(given, 80) +
                         "\": must be at most 63 lower-case letters, digits or '-', beginning and ending with a letter "
                         "or digit, or the name of a Node in Kubernetes, which may have dots and 253 characters");
}

}  // namespace mcpfleet
