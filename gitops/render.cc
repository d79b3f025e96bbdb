#include "gitops/render.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "crd/schema.h"
#include "gitops/kustomization.h"
#include "gitops/merge.h"
#include "gitops/sourced_tree.h"

namespace mcpfleet {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostObjects = 10'000, kMostFiles = 10'000;
constexpr size_t kMostFolders = 32;  // that lead to one another
constexpr size_t kKustomizationBytes = size_t{1} << 20;
constexpr size_t kMostViolations = 1000;

struct Id {
  std::string kind, namespace_, name;
};
Id IdOf(const SourcedTree& object) {
  const SourcedTree* metadata = object.Find("metadata");
  Id id{object.Text("kind"), "", ""};
  if (metadata != nullptr) {
    id.namespace_ = metadata->Text("namespace");
    id.name = metadata->Text("name");
  }
  return id;
}

bool IsNamespaced(const std::string& kind) {
  const KindSchema* schema = Schema::Builtin().Find(kind);
  return schema == nullptr || schema->namespaced;
}

std::string Described(const Id& id) {
  return id.kind + " " + (id.namespace_.empty() ? "" : id.namespace_ + "/") + id.name;
}

// Two that mean the same namespace: a patch needs not say the one that is meant anyway.
bool SameNamespace(const std::string& a, const std::string& b) { return a.empty() || b.empty() || a == b; }

Labels LabelsOf(const SourcedTree& object) {
  Labels labels;
  const SourcedTree* metadata = object.Find("metadata");
  const SourcedTree* found = metadata == nullptr ? nullptr : metadata->Find("labels");
  if (found == nullptr) return labels;
  for (const auto& [key, value] : found->members) labels[key] = found->Text(key);
  return labels;
}

void SetText(SourcedTree* map, const std::string& key, const std::string& text, const Origin& origin) {
  map->type = SourcedTree::Type::kMap;
  SourcedTree value;
  value.scalar = text;
  value.origin = origin;
  map->members.insert_or_assign(key, std::move(value));
}

SourcedTree* Child(SourcedTree* map, const std::string& key, const Origin& origin) {
  map->type = SourcedTree::Type::kMap;
  auto [it, inserted] = map->members.try_emplace(key);
  if (inserted) {
    it->second.type = SourcedTree::Type::kMap;
    it->second.origin = origin;
  }
  return &it->second;
}

class Renderer {
 public:
  Renderer(const RenderOptions& options, std::vector<Violation>* violations) : violations_(violations) {
    if (options.root.empty()) return;
    std::error_code error;
    root_ = fs::canonical(options.root, error);
    if (error) root_ = options.root;  // nothing is inside it then
  }

  // `from` is who names the folder; without a line when it is the caller.
  std::vector<SourcedTree> Folder(const fs::path& folder, const Origin& from, const std::string& field) {
    if (!Spend(from, field)) return {};
    std::error_code error;
    const fs::path canonical = fs::canonical(folder, error);
    if (error) return Fail(from, field, Shown(folder) + ": " + error.message());
    if (!Inside(canonical)) return Fail(from, field, Shown(folder) + ": is outside the folder that may be read");
    auto before = std::find(stack_.begin(), stack_.end(), canonical);
    if (before != stack_.end()) {
      std::string circle;
      for (auto it = before; it != stack_.end(); ++it) circle += Shown(*it) + " -> ";
      return Fail(from, field, "leads back to itself: " + circle + Shown(canonical));
    }
    if (stack_.size() >= kMostFolders)
      return Fail(from, field, "is the end of a chain of more than " + std::to_string(kMostFolders) + " folders");
    stack_.push_back(canonical);
    std::vector<SourcedTree> objects = InFolder(folder, from, field);
    stack_.pop_back();
    return objects;
  }

  StatusOr<std::vector<ManifestObject>> Judge(const std::vector<SourcedTree>& trees);

 private:
  std::vector<SourcedTree> Fail(const Origin& at, const std::string& field, std::string problem) {
    violations_->push_back({at.file, at.line, field, std::move(problem), "", at.column});
    return {};
  }

  // False when enough was read: folders that name one folder twice, which does the same, would be read for ever.
  bool Spend(const Origin& from, const std::string& field) {
    if (visited_ > kMostFiles || violations_->size() >= kMostViolations) return false;
    if (++visited_ <= kMostFiles) return true;
    (void)Fail(from, field, "more than " + std::to_string(kMostFiles) + " files and folders are read");
    return false;
  }

  bool Inside(const fs::path& canonical) const {
    if (root_.empty()) return true;
    const auto end = std::mismatch(root_.begin(), root_.end(), canonical.begin(), canonical.end()).first;
    return end == root_.end();
  }

  std::string Shown(const fs::path& path) const {
    if (root_.empty()) return path.lexically_normal().string();
    std::error_code error;
    const fs::path absolute = fs::weakly_canonical(path, error);
    const std::string shown = (error ? path : absolute).lexically_relative(root_).string();
    return shown.empty() ? path.string() : shown;
  }

  std::vector<SourcedTree> InFolder(const fs::path& folder, const Origin& from, const std::string& field) {
    std::error_code error;
    fs::path found;
    for (const char* name : kKustomizationNames) {
      if (!fs::is_regular_file(folder / name, error)) continue;
      if (!found.empty()) return Fail(from, field, Shown(folder) + ": has more than one kustomization file");
      found = folder / name;
    }
    return found.empty() ? Plain(folder, from, field) : Overlay(folder, found);
  }

  // Every manifest in the folder and below, hidden folders left out.
  std::vector<SourcedTree> Plain(const fs::path& folder, const Origin& from, const std::string& field) {
    std::error_code error;
    std::vector<fs::path> files;
    fs::recursive_directory_iterator it(folder, error);
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
      const fs::path& path = it->path();
      const std::string name = path.filename().string();
      if (const std::string wrong = WrongLink(path); !wrong.empty())
        return Fail(from, field, Shown(path.parent_path()) + "/" + name + ": " + wrong);
      if (it->is_directory(error)) {
        if (name.starts_with('.')) it.disable_recursion_pending();
        continue;
      }
      if (IsKustomizationName(name)) {
        return Fail(from, field,
                    Shown(folder) + ": has no kustomization.yaml, but there is one below it (" + Shown(path) +
                        "); name that folder, or write one here");
      }
      const std::string extension = path.extension().string();
      if (extension == ".yaml" || extension == ".yml" || extension == ".json") files.push_back(path);
      if (files.size() > kMostFiles)
        return Fail(from, field, Shown(folder) + ": more than " + std::to_string(kMostFiles) + " manifests");
    }
    if (error) return Fail(from, field, Shown(folder) + ": " + error.message());
    if (files.empty()) return Fail(from, field, Shown(folder) + ": no *.yaml, *.yml or *.json file in this folder");
    std::sort(files.begin(), files.end());
    std::vector<SourcedTree> objects;
    for (const fs::path& file : files) Append(File(file, from, field), &objects);
    return objects;
  }

  std::vector<SourcedTree> File(const fs::path& file, const Origin& from, const std::string& field) {
    if (!Spend(from, field)) return {};
    std::error_code error;
    const fs::path canonical = fs::canonical(file, error);
    if (!error && !Inside(canonical))
      return Fail(from, field, Shown(file) + ": is outside the folder that may be read");
    StatusOr<std::string> bytes = ReadFile(file.string(), limits::kManifestBytes);
    if (!bytes.ok()) return Fail(from, field, Shown(file) + ": can't be read: " + Message(bytes.status()));
    return Parse(*bytes, Shown(file));
  }

  std::vector<SourcedTree> Parse(const std::string& bytes, const std::string& shown) {
    std::vector<SourcedTree> objects;
    StatusOr<std::vector<RawObject>> raws = ReadRawObjects(bytes, shown, violations_);
    if (!raws.ok()) return objects;  // what is wrong is in violations_
    for (const RawObject& raw : *raws) objects.push_back(TreeOf(raw, shown));
    return objects;
  }

  void Append(std::vector<SourcedTree> more, std::vector<SourcedTree>* objects) {
    std::move(more.begin(), more.end(), std::back_inserter(*objects));
  }

  std::vector<SourcedTree> Overlay(const fs::path& folder, const fs::path& file) {
    const std::string shown = Shown(file);
    StatusOr<std::string> bytes = ReadFile(file.string(), kKustomizationBytes);
    if (!bytes.ok()) return Fail({shown, 0, 0}, "", Message(bytes.status()));
    StatusOr<Kustomization> said = ParseKustomization(*bytes, shown, violations_);
    if (!said.ok()) return {};
    std::vector<SourcedTree> objects;
    std::error_code error;
    for (const Kustomization::Resource& resource : said->resources) {
      const fs::path path = folder / resource.path;
      const bool is_folder = fs::is_directory(path, error);
      Append(is_folder ? Folder(path, resource.origin, resource.field) : File(path, resource.origin, resource.field),
             &objects);
      if (objects.size() > kMostObjects)
        return Fail(resource.origin, resource.field, "more than " + std::to_string(kMostObjects) + " objects");
    }
    const size_t before = violations_->size();
    for (const Kustomization::Patch& patch : said->patches) ApplyPatch(folder, patch, &objects);
    if (violations_->size() > before) return {};
    const Origin here{shown, 1, 1};
    for (SourcedTree& object : objects) Mark(*said, here, &object);
    return objects;
  }

  static void Mark(const Kustomization& said, const Origin& here, SourcedTree* object) {
    if (object->type != SourcedTree::Type::kMap) return;
    SourcedTree* metadata = Child(object, "metadata", here);
    if (!said.namespace_.empty() && IsNamespaced(object->Text("kind")))
      SetText(metadata, "namespace", said.namespace_, here);
    for (const auto& [key, value] : said.labels) SetText(Child(metadata, "labels", here), key, value, here);
    for (const auto& [key, value] : said.annotations) SetText(Child(metadata, "annotations", here), key, value, here);
  }

  void ApplyPatch(const fs::path& folder, const Kustomization::Patch& patch, std::vector<SourcedTree>* objects) {
    std::vector<SourcedTree> parts = patch.path.empty() ? Parse(Placed(patch), patch.origin.file)
                                                        : File(folder / patch.path, patch.origin, patch.field);
    for (const SourcedTree& part : parts) ApplyPart(patch, part, objects);
  }

  // An inline patch with the lines that it has in its file: a block scalar begins below its key.
  static std::string Placed(const Kustomization::Patch& patch) {
    return std::string(static_cast<size_t>(std::max(0, patch.origin.line)), '\n') + patch.inline_;
  }

  void ApplyPart(const Kustomization::Patch& patch, SourcedTree part, std::vector<SourcedTree>* objects) {
    if (part.type == SourcedTree::Type::kList) {
      (void)Fail(part.origin, patch.field, "is a list; JSON patches are not known, write the object's changed fields");
      return;
    }
    Id id = IdOf(part);
    if (patch.has_target) {
      id = {patch.kind, patch.namespace_, patch.name};
      // Which object it is for, the target says.
      part.members.erase("kind");
      part.members.erase("apiVersion");
      if (SourcedTree* metadata = part.Find("metadata") == nullptr ? nullptr : &part.members["metadata"]) {
        metadata->members.erase("name");
        metadata->members.erase("namespace");
      }
    } else if (id.kind.empty() || id.name.empty()) {
      (void)Fail(part.origin, patch.field,
                 "has no kind or metadata.name, and there is no target that says which object");
      return;
    }
    size_t matched = 0;
    for (size_t i = 0; i < objects->size(); ++i) {
      SourcedTree& object = (*objects)[i];
      const Id of = IdOf(object);
      const bool same = (id.kind.empty() || id.kind == of.kind) && (id.name.empty() || id.name == of.name) &&
                        SameNamespace(id.namespace_, of.namespace_) && patch.selector.Matches(LabelsOf(object));
      if (!same) continue;
      ++matched;
      if (DeletesAll(part)) {
        objects->erase(objects->begin() + static_cast<std::ptrdiff_t>(i--));
        continue;
      }
      const KindSchema* kind = Schema::Builtin().Find(of.kind);
      MergePatch(kind == nullptr ? nullptr : kind->root.get(), &object, part, violations_);
    }
    if (matched > 0) return;
    std::vector<std::string> there;
    for (const SourcedTree& object : *objects) there.push_back(Described(IdOf(object)));
    if (there.size() > 20) there.resize(20);
    (void)Fail(part.origin, patch.field, "patches no object; there are: " + Join(there, ", "));
  }

  fs::path root_;  // "": any
  std::vector<Violation>* violations_;
  std::vector<fs::path> stack_;  // canonical
  size_t visited_ = 0;           // files and folders
};

StatusOr<std::vector<ManifestObject>> Renderer::Judge(const std::vector<SourcedTree>& trees) {
  std::vector<ManifestObject> objects;
  for (const SourcedTree& tree : trees) {
    std::map<std::string, Origin> origins;
    const Json json = JsonOf(tree, &origins);
    // Validate knows lines only: it is given the number of the origin instead, which says the file too.
    std::map<std::string, int> numbers;
    std::vector<const Origin*> numbered{&tree.origin};
    for (const auto& [path, origin] : origins) {
      numbers[path] = static_cast<int>(numbered.size());
      numbered.push_back(&origin);
    }
    std::vector<Violation> found = Schema::Builtin().Validate(GetString(json, "kind"), json, LinesIn(numbers));
    for (Violation& violation : found) {
      const Origin& origin = *numbered[static_cast<size_t>(violation.line)];
      violation.file = origin.file;
      violation.line = origin.line;
      violation.column = origin.column;
    }
    StatusOr<Object> object = found.empty() ? ObjectFromJson(json) : InvalidArgument("");
    if (object.ok()) {
      ManifestObject manifest{*std::move(object), tree.origin.file, tree.origin.line, {}, tree.origin.column};
      for (const auto& [path, origin] : origins) {
        if (origin.file == tree.origin.file) manifest.lines.emplace(path, origin.line);
      }
      // Said somewhere else, but said: nobody may put a default there.
      if (origins.contains("metadata.namespace")) manifest.lines.emplace("metadata.namespace", manifest.line);
      objects.push_back(std::move(manifest));
    } else if (found.empty()) {
      found.push_back({tree.origin.file, tree.origin.line, "", Message(object.status()), "", tree.origin.column});
    }
    violations_->insert(violations_->end(), found.begin(), found.end());
  }
  for (Violation& twice : FindDuplicates(objects)) violations_->push_back(std::move(twice));
  std::sort(objects.begin(), objects.end(),
            [](const ManifestObject& a, const ManifestObject& b) { return KeyOf(a.object) < KeyOf(b.object); });
  return objects;
}

}  // namespace

std::string WrongLink(const fs::path& path) {
  std::error_code error;
  const std::string name = path.filename().string(), extension = path.extension().string();
  if (!fs::is_symlink(path, error) || name.starts_with('.')) return "";
  const bool there = fs::exists(path, error);
  if (there && fs::is_directory(path, error))
    return "is a link to a folder, which is not followed; name that folder itself (-f, or resources of a "
           "kustomization.yaml)";
  const bool of_manifests = extension.empty() || extension == ".yaml" || extension == ".yml" || extension == ".json";
  return there || !of_manifests ? "" : "is a link that leads nowhere; mend or remove it";
}

StatusOr<std::vector<ManifestObject>> RenderFolder(const std::string& folder, const RenderOptions& options,
                                                   std::vector<Violation>* violations) {
  std::vector<Violation> found;
  Renderer renderer(options, &found);
  std::vector<SourcedTree> trees;
  std::error_code error;
  if (fs::is_directory(folder, error)) {
    trees = renderer.Folder(folder, {options.root.empty() ? folder : "", 0, 0}, "");
  } else {
    found.push_back({folder, 0, "", "is no folder", ""});
  }
  StatusOr<std::vector<ManifestObject>> objects = std::vector<ManifestObject>{};
  if (found.empty()) objects = renderer.Judge(trees);
  if (objects.ok() && objects->empty() && found.empty()) found.push_back({folder, 0, "", "renders to no object", ""});
  if (found.empty()) return objects;
  const Status first = InvalidArgument(
      ToString(found.front()) + (found.size() > 1 ? " (and " + std::to_string(found.size() - 1) + " more)" : ""));
  violations->insert(violations->end(), found.begin(), found.end());
  return first;
}

}  // namespace mcpfleet
