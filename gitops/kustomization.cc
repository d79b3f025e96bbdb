#include "gitops/kustomization.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet {
namespace {

using Type = SourcedTree::Type;

constexpr size_t kMostPatches = 1000;  // each is compared with every object
const std::vector<std::string> kFields = {"apiVersion", "kind",      "metadata", "resources",
                                          "patches",    "namespace", "labels",   "commonAnnotations"};

class Reader {
 public:
  Reader(Kustomization* out, std::vector<Violation>* violations) : out_(out), violations_(violations) {}

  void Read(const SourcedTree& root) {
    if (root.type != Type::kMap) return Report(root, "", "wants a map", Join(kFields, ", "));
    CheckFields(root, "", kFields);
    Expect(root, "kind", {"Kustomization"});
    Expect(root, "apiVersion", {"kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1"});
    out_->namespace_ = TextOf(root, "namespace", "namespace");
    if (const std::string wrong = out_->namespace_.empty() ? "" : CheckName(out_->namespace_); !wrong.empty())
      Report(*root.Find("namespace"), "namespace", wrong);
    if (const SourcedTree* resources = ListOf(root, "resources", "resources")) ReadResources(*resources);
    if (const SourcedTree* patches = ListOf(root, "patches", "patches")) {
      if (patches->items.size() > kMostPatches)
        Report(*patches, "patches", "more than " + std::to_string(kMostPatches) + " patches");
      for (size_t i = 0; i < std::min(patches->items.size(), kMostPatches); ++i)
        ReadPatch(patches->items[i], ItemPath("patches", i));
    }
    if (const SourcedTree* labels = ListOf(root, "labels", "labels")) {
      for (size_t i = 0; i < labels->items.size(); ++i) ReadLabels(labels->items[i], ItemPath("labels", i));
    }
    if (const SourcedTree* annotations = root.Find("commonAnnotations"))
      out_->annotations = PairsOf(*annotations, "commonAnnotations");
    if (out_->resources.empty() && root.Find("resources") == nullptr)
      Report(root, "resources", "is missing", "a list of files and folders");
  }

 private:
  void Report(const SourcedTree& at, const std::string& path, std::string problem, std::string allowed = "") {
    violations_->push_back(
        {at.origin.file, at.origin.line, path, std::move(problem), std::move(allowed), at.origin.column});
  }

  void CheckFields(const SourcedTree& map, const std::string& path, const std::vector<std::string>& known) {
    for (const auto& [key, child] : map.members) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string nearest = Nearest(key, known);
      Report(child, ChildPath(path, key),
             "unknown field \"" + Printable(key, 60) + "\"" +
                 (nearest.empty() ? "" : ", did you mean \"" + nearest + "\"?"),
             Join(known, ", "));
    }
  }

  void Expect(const SourcedTree& root, const std::string& key, const std::vector<std::string>& allowed) {
    const SourcedTree* child = root.Find(key);
    if (child != nullptr && std::find(allowed.begin(), allowed.end(), root.Text(key)) == allowed.end())
      Report(*child, key, "is another one", Join(allowed, ", "));
  }

  std::string TextOf(const SourcedTree& map, const std::string& key, const std::string& path) {
    const SourcedTree* child = map.Find(key);
    if (child == nullptr) return "";
    std::string text = map.Text(key);
    if (text.empty()) Report(*child, path, "wants text that is not empty");
    return text;
  }

  const SourcedTree* ListOf(const SourcedTree& map, const std::string& key, const std::string& path) {
    const SourcedTree* child = map.Find(key);
    if (child == nullptr || child->type == Type::kList) return child;
    Report(*child, path, "wants a list");
    return nullptr;
  }

  Labels PairsOf(const SourcedTree& map, const std::string& path) {
    Labels pairs;
    if (map.type != Type::kMap) Report(map, path, "wants a map of text");
    for (const auto& [key, child] : map.members) pairs[key] = TextOf(map, key, ChildPath(path, key));
    return pairs;
  }

  void ReadResources(const SourcedTree& list) {
    for (size_t i = 0; i < list.items.size(); ++i) {
      const SourcedTree& item = list.items[i];
      const std::string path = ItemPath("resources", i);
      const std::string text = item.scalar.is_string() ? item.scalar.get<std::string>() : "";
      if (text.empty()) {
        Report(item, path, "wants the path of a file or folder");
      } else if (text.find("://") != std::string::npos || text.starts_with('/') || text.starts_with("git@")) {
        Report(item, path, "\"" + Printable(text, 200) + "\" is not a path relative to this file",
               "files and folders of the same tree: nothing is fetched while rendering");
      } else {
        out_->resources.push_back({text, item.origin, path});
      }
    }
  }

  void ReadPatch(const SourcedTree& item, const std::string& path) {
    if (item.type != Type::kMap) return Report(item, path, "wants a map", "path, patch, target");
    CheckFields(item, path, {"path", "patch", "target"});
    Kustomization::Patch patch{.origin = item.origin, .field = path};
    patch.path = TextOf(item, "path", ChildPath(path, "path"));
    patch.inline_ = TextOf(item, "patch", ChildPath(path, "patch"));
    if (const SourcedTree* text = item.Find(patch.path.empty() ? "patch" : "path")) patch.origin = text->origin;
    if (patch.path.empty() == patch.inline_.empty()) return Report(item, path, "wants one of path and patch");
    if (const SourcedTree* target = item.Find("target")) ReadTarget(*target, ChildPath(path, "target"), &patch);
    out_->patches.push_back(std::move(patch));
  }

  void ReadTarget(const SourcedTree& target, const std::string& path, Kustomization::Patch* patch) {
    if (target.type != Type::kMap) return Report(target, path, "wants a map", "kind, name, namespace, labelSelector");
    CheckFields(target, path, {"kind", "name", "namespace", "labelSelector"});
    patch->has_target = true;
    patch->kind = TextOf(target, "kind", ChildPath(path, "kind"));
    for (const auto& [key, to] : {std::pair("name", &patch->name), std::pair("namespace", &patch->namespace_)}) {
      *to = TextOf(target, key, ChildPath(path, key));
      if (to->empty() || CheckName(*to).empty()) continue;
      Report(*target.Find(key), ChildPath(path, key), "\"" + Printable(*to, 80) + "\" is no name",
             "one name; for several objects, labelSelector or nothing");
    }
    const std::string selector = TextOf(target, "labelSelector", ChildPath(path, "labelSelector"));
    StatusOr<LabelSelector> parsed = LabelSelector::Parse(selector);
    if (parsed.ok()) {
      patch->selector = *std::move(parsed);
    } else {
      Report(*target.Find("labelSelector"), ChildPath(path, "labelSelector"), Message(parsed.status()));
    }
  }

  void ReadLabels(const SourcedTree& item, const std::string& path) {
    if (item.type != Type::kMap) return Report(item, path, "wants a map", "pairs");
    CheckFields(item, path, {"pairs", "includeSelectors"});
    // Our selectors select nodes, never objects: there is nothing that kustomize's `true` could mean.
    if (const SourcedTree* selectors = item.Find("includeSelectors");
        selectors != nullptr && selectors->scalar != false)
      Report(*selectors, ChildPath(path, "includeSelectors"), "can't be carried out", "false");
    if (const SourcedTree* pairs = item.Find("pairs")) {
      for (const auto& pair : PairsOf(*pairs, ChildPath(path, "pairs")))
        out_->labels.insert_or_assign(pair.first, pair.second);
    } else {
      Report(item, ChildPath(path, "pairs"), "is missing", "a map of labels");
    }
  }

  Kustomization* out_;
  std::vector<Violation>* violations_;
};

}  // namespace

bool IsKustomizationName(std::string_view file) {
  return std::find(std::begin(kKustomizationNames), std::end(kKustomizationNames), file) !=
         std::end(kKustomizationNames);
}

StatusOr<Kustomization> ParseKustomization(std::string_view bytes, const std::string& file,
                                           std::vector<Violation>* violations) {
  ASSIGN_OR_RETURN(std::vector<RawObject> documents, ReadRawObjects(bytes, file, violations));
  Kustomization out{.file = file};
  std::vector<Violation> found;
  if (documents.size() != 1) {
    found.push_back({file, documents.empty() ? 1 : documents[1].line, "",
                     documents.empty() ? "is empty" : "has more than one document", ""});
  } else {
    Reader(&out, &found).Read(TreeOf(documents[0], file));
  }
  if (found.empty()) return out;
  violations->insert(violations->end(), found.begin(), found.end());
  return InvalidArgument(ToString(found.front()));
}

}  // namespace mcpfleet
