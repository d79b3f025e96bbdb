#include "gitops/merge.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet {
namespace {

using Type = SourcedTree::Type;
constexpr char kDirective[] = "$patch";

const SchemaNode* ChildOf(const SchemaNode* schema, const std::string& key) {
  if (schema == nullptr) return nullptr;
  if (schema->type == SchemaNode::Type::kMap) return schema->items.get();
  auto it = schema->properties.find(key);
  return it == schema->properties.end() ? nullptr : it->second.get();
}

class Merger {
 public:
  explicit Merger(std::vector<Violation>* violations) : violations_(violations) {}

  void Merge(const SchemaNode* schema, SourcedTree* base, const SourcedTree& patch, const std::string& path) {
    if (patch.type == Type::kMap) return MergeMap(schema, base, patch, path);
    if (patch.type == Type::kList) return MergeList(schema, base, patch, path);
    *base = patch;
  }

 private:
  void Report(const SourcedTree& at, const std::string& path, std::string problem, std::string allowed = "") {
    violations_->push_back(
        {at.origin.file, at.origin.line, path, std::move(problem), std::move(allowed), at.origin.column});
  }

  // "", "replace", "merge" or "delete"; anything else is reported and counts as "".
  std::string DirectiveOf(const SourcedTree& patch, const std::string& path) {
    const SourcedTree* directive = patch.Find(kDirective);
    if (directive == nullptr) return "";
    std::string said = patch.Text(kDirective);
    if (said == "replace" || said == "merge" || said == "delete") return said;
    Report(*directive, ChildPath(path, kDirective), "is not one of the directives", "merge, replace, delete");
    return "";
  }

  // What a patch leaves where nothing was: itself, without directives and without what it removes.
  SourcedTree Added(const SchemaNode* schema, const SourcedTree& patch, const std::string& path) {
    SourcedTree fresh;
    fresh.type = patch.type;
    fresh.origin = patch.origin;
    Merge(schema, &fresh, patch, path);
    return fresh;
  }

  void MergeMap(const SchemaNode* schema, SourcedTree* base, const SourcedTree& patch, const std::string& path) {
    const bool replace = DirectiveOf(patch, path) == "replace";
    if (replace || base->type != Type::kMap) {
      *base = SourcedTree();
      base->type = Type::kMap;
      base->origin = patch.origin;
    }
    for (const auto& [key, child] : patch.members) {
      if (key == kDirective) continue;
      const std::string at = ChildPath(path, key);
      if (child.is_null() || (child.type == Type::kMap && DirectiveOf(child, at) == "delete")) {
        base->members.erase(key);
        continue;
      }
      auto present = base->members.find(key);
      if (present == base->members.end()) {
        base->members.emplace(key, Added(ChildOf(schema, key), child, at));
      } else {
        Merge(ChildOf(schema, key), &present->second, child, at);
      }
    }
  }

  void MergeList(const SchemaNode* schema, SourcedTree* base, const SourcedTree& patch, const std::string& path) {
    const bool keyed = schema != nullptr && !schema->list_map_keys.empty();
    const bool set = schema != nullptr && schema->list_set;
    size_t first = 0;
    bool replace = !keyed && !set;
    // `- $patch: replace` as an item of its own speaks of the whole list.
    if (!patch.items.empty() && patch.items[0].members.size() == 1 &&
        DirectiveOf(patch.items[0], ItemPath(path, 0)) == "replace") {
      replace = true;
      first = 1;
    }
    if (replace || base->type != Type::kList) {
      *base = SourcedTree();
      base->type = Type::kList;
      base->origin = patch.origin;
    }
    for (size_t i = first; i < patch.items.size(); ++i) {
      const SourcedTree& item = patch.items[i];
      const std::string at = ItemPath(path, i);
      const SchemaNode* below = schema == nullptr ? nullptr : schema->items.get();
      if (keyed) {
        MergeItem(schema->list_map_keys, below, base, item, at);
      } else if (!set || !Contains(*base, item)) {
        base->items.push_back(Added(below, item, at));
      }
    }
  }

  static bool Contains(const SourcedTree& list, const SourcedTree& item) {
    const Json wanted = JsonOf(item);
    return std::any_of(list.items.begin(), list.items.end(),
                       [&](const SourcedTree& each) { return JsonOf(each) == wanted; });
  }

  void MergeItem(const std::vector<std::string>& keys, const SchemaNode* below, SourcedTree* list,
                 const SourcedTree& item, const std::string& at) {
    for (const std::string& key : keys) {
      if (item.Find(key) != nullptr) continue;
      return Report(item, ChildPath(at, key), "is missing: it says which item of the list is patched");
    }
    auto found = std::find_if(list->items.begin(), list->items.end(), [&](const SourcedTree& each) {
      return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) {
        const SourcedTree* has = each.Find(key);
        return has != nullptr && JsonOf(*has) == JsonOf(*item.Find(key));
      });
    });
    if (DirectiveOf(item, at) == "delete") {
      if (found != list->items.end()) list->items.erase(found);
    } else if (found == list->items.end()) {
      list->items.push_back(Added(below, item, at));
    } else {
      Merge(below, &*found, item, at);
    }
  }

  std::vector<Violation>* violations_;
};

}  // namespace

void MergePatch(const SchemaNode* schema, SourcedTree* base, const SourcedTree& patch,
                std::vector<Violation>* violations) {
  Merger(violations).Merge(schema, base, patch, "");
}

bool DeletesAll(const SourcedTree& patch) { return patch.Text(kDirective) == "delete"; }

}  // namespace mcpfleet
