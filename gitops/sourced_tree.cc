#include "gitops/sourced_tree.h"

#include <utility>

namespace mcpfleet {
namespace {

SourcedTree Build(const Json& value, const std::string& path, const RawObject& raw, Origin origin) {
  if (auto line = raw.lines.find(path); line != raw.lines.end()) {
    origin.line = line->second;
    auto column = raw.columns.find(path);
    origin.column = column == raw.columns.end() ? 0 : column->second;
  }
  SourcedTree tree;
  tree.origin = origin;
  if (value.is_object()) {
    tree.type = SourcedTree::Type::kMap;
    for (auto it = value.begin(); it != value.end(); ++it)
      tree.members.emplace(it.key(), Build(*it, ChildPath(path, it.key()), raw, origin));
  } else if (value.is_array()) {
    tree.type = SourcedTree::Type::kList;
    for (size_t i = 0; i < value.size(); ++i) tree.items.push_back(Build(value[i], ItemPath(path, i), raw, origin));
  } else {
    tree.scalar = value;
  }
  return tree;
}

Json Unbuild(const SourcedTree& tree, const std::string& path, std::map<std::string, Origin>* origins) {
  if (origins != nullptr) origins->emplace(path, tree.origin);
  switch (tree.type) {
    case SourcedTree::Type::kScalar:
      return tree.scalar;
    case SourcedTree::Type::kMap: {
      Json out = Json::object();
      for (const auto& [key, child] : tree.members) out[key] = Unbuild(child, ChildPath(path, key), origins);
      return out;
    }
    case SourcedTree::Type::kList: {
      Json out = Json::array();
      for (size_t i = 0; i < tree.items.size(); ++i) out.push_back(Unbuild(tree.items[i], ItemPath(path, i), origins));
      return out;
    }
  }
  return nullptr;
}

}  // namespace

const SourcedTree* SourcedTree::Find(const std::string& key) const {
  auto it = members.find(key);
  return type != Type::kMap || it == members.end() ? nullptr : &it->second;
}

std::string SourcedTree::Text(const std::string& key) const {
  const SourcedTree* child = Find(key);
  return child != nullptr && child->type == Type::kScalar && child->scalar.is_string()
             ? child->scalar.get<std::string>()
             : "";
}

SourcedTree TreeOf(const RawObject& raw, const std::string& file) {
  return Build(raw.value, "", raw, {file, raw.line, raw.column});
}

Json JsonOf(const SourcedTree& tree, std::map<std::string, Origin>* origins) { return Unbuild(tree, "", origins); }

}  // namespace mcpfleet
