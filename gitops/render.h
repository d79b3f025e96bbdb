// A folder of manifests as the objects that it means: its kustomization.yaml carried out, overlays over their bases,
// or, without one, every manifest in it and below.
//
// The result is validated and sorted by kind, namespace and name: the same files give the same objects in the same
// order, whatever the file system says first. What is wrong is said with the file and line that wrote it, also where
// a patch brought it into an object of another file. Files are read once and not watched; one thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "crd/manifest.h"

namespace mcpfleet {

struct RenderOptions {
  // Not "": nothing outside this folder is read, and files are named in messages as they are below it.
  std::string root;
};

// InvalidArgument when anything is wrong, with all of it in `violations`. Bounds: 10,000 files and objects, folders 32
// deep, and those of ParseManifest.
StatusOr<std::vector<ManifestObject>> RenderFolder(const std::string& folder, const RenderOptions& options,
                                                   std::vector<Violation>* violations);

// Why an entry of a folder of manifests is refused, "" when it is not: a link to a folder would not be followed, and
// one that leads nowhere may have led to manifests. Whoever prunes by the folder would delete what they had made.
std::string WrongLink(const std::filesystem::path& path);

}  // namespace mcpfleet
