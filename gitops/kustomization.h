// kustomization.yaml, the part of it that `mcpctl render` knows: resources, patches, namespace, labels and
// commonAnnotations, written as kustomize has them, so that the same folder can be given to it or to Flux and Argo CD.
// Anything else in the file is an error: what is not carried out must not look as if it were.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crd/labels.h"
#include "crd/violation.h"
#include "gitops/sourced_tree.h"

namespace mcpfleet {

inline constexpr const char* kKustomizationNames[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};
bool IsKustomizationName(std::string_view file);

struct Kustomization {
  struct Resource {
    std::string path;  // as written
    Origin origin;
    std::string field;  // "resources[0]", for messages
  };
  struct Patch {
    std::string path;     // of a file, or
    std::string inline_;  // the patch itself
    bool has_target = false;
    std::string kind, name, namespace_;  // of the target; "": any
    LabelSelector selector;
    Origin origin;
    std::string field;  // "patches[0]"
  };
  std::string file;
  std::vector<Resource> resources;
  std::vector<Patch> patches;
  std::string namespace_;
  Labels labels, annotations;
};

// InvalidArgument when anything is wrong; all of it in `violations`.
StatusOr<Kustomization> ParseKustomization(std::string_view bytes, const std::string& file,
                                           std::vector<Violation>* violations);

}  // namespace mcpfleet
