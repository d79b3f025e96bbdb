// Schema::Explain: the schema as text, as kubectl explain prints it.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "crd/object.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

using Type = SchemaNode::Type;
constexpr size_t kWidth = 78;

std::string TypeName(const SchemaNode& node) {
  switch (node.type) {
    case Type::kObject:
      return "Object";
    case Type::kMap:
      return "map[string]" + TypeName(*node.items);
    case Type::kArray:
      return "[]" + TypeName(*node.items);
    case Type::kString:
      return node.format == "duration" ? "duration" : "string";
    case Type::kInteger:
      return "integer";
    case Type::kBoolean:
      return "boolean";
    case Type::kIntOrString:
      return "quantity";
    case Type::kAny:
      return "any";
  }
  return "";
}

std::string Wrap(const std::string& text, const std::string& indent) {
  std::string out, line = indent;
  for (const std::string& word : Split(text, ' ')) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = indent;
    }
    if (line.size() > indent.size()) line += ' ';
    line += word;
  }
  return out + line + "\n";
}

// "default: 60 · 1 to 3600", or "".
std::string Constraints(const SchemaNode& node) {
  std::vector<std::string> parts;
  const SchemaNode& leaf = node.type == Type::kArray ? *node.items : node;
  if (!leaf.enumeration.empty()) parts.push_back("one of: " + Join(leaf.enumeration, ", "));
  if (node.has_default) parts.push_back("default: " + node.default_json);
  if (node.minimum && node.maximum) {
    parts.push_back("from " + std::to_string(*node.minimum) + " to " + std::to_string(*node.maximum));
  }
  if (!leaf.example.empty()) parts.push_back("such as: " + leaf.example);
  if (node.max_items) parts.push_back("at most " + std::to_string(*node.max_items) + " entries");
  return Join(parts, "; ");
}

bool IsRequired(const SchemaNode& parent, const std::string& name) {
  for (const std::string& required : parent.required) {
    if (required == name) return true;
  }
  return false;
}

// The node that has the fields: through lists and maps.
const SchemaNode& Fields(const SchemaNode& node) {
  const SchemaNode* at = &node;
  while (at->type == Type::kArray || at->type == Type::kMap) at = at->items.get();
  return *at;
}

void ListFields(const SchemaNode& node, const std::string& indent, bool recursive, std::string* out) {
  const SchemaNode& fields = Fields(node);
  for (const std::string& name : fields.order) {
    const SchemaNode& child = *fields.properties.at(name);
    *out += indent + name + "\t<" + TypeName(child) + ">" + (IsRequired(fields, name) ? " -required-" : "") + "\n";
    if (recursive) {
      ListFields(child, indent + "  ", true, out);
      continue;
    }
    *out += Wrap(child.description, indent + "  ");
    if (std::string limits = Constraints(child); !limits.empty()) *out += Wrap(limits, indent + "  ");
    *out += "\n";
  }
}

}  // namespace

StatusOr<std::string> Schema::Explain(std::string_view path, bool recursive) const {
  std::vector<std::string> parts = Split(path, '.');
  const KindSchema* kind = Find(parts[0]);
  if (kind == nullptr) {
    std::vector<std::string> names;
    for (const auto& each : kinds_) names.push_back(each->plural);
    return NotFound("kind \"" + Printable(parts[0], 60) + "\": unknown; there are " + Join(names, ", "));
  }
  const SchemaNode* node = kind->root.get();
  for (size_t i = 1; i < parts.size(); ++i) {
    std::string name = parts[i].substr(0, parts[i].find('['));  // "nodes[]" is accepted
    const SchemaNode& fields = Fields(*node);
    auto it = fields.properties.find(name);
    if (it == fields.properties.end()) {
      std::string nearest = Nearest(name, fields.order);
      std::string message = "field \"" + Printable(name, 60) + "\" does not exist in " +
                            Printable(Join({parts.begin(), parts.begin() + static_cast<ptrdiff_t>(i)}, "."), 200);
      if (!nearest.empty()) return NotFound(message + "; did you mean \"" + nearest + "\"?");
      return NotFound(message + (fields.order.empty() ? "" : "; there are " + Join(fields.order, ", ")));
    }
    node = it->second.get();
  }
  std::string out = "GROUP:      mcpfleet.dev\nKIND:       " + kind->kind + "\nVERSION:    v1alpha1\n\n";
  if (parts.size() > 1) out += "FIELD: " + parts.back() + " <" + TypeName(*node) + ">\n\n";
  out += "DESCRIPTION:\n" + Wrap(node->description, "  ");
  if (std::string limits = Constraints(*node); !limits.empty()) out += Wrap(limits, "  ");
  if (!Fields(*node).order.empty()) {
    out += "\nFIELDS:\n";
    ListFields(*node, "  ", recursive, &out);
  }
  return out;
}

}  // namespace mcpfleet
