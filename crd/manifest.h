// Manifests: YAML or JSON files with one or more objects, as people write them. What YAML would silently turn into
// something else is an error with its line.
//
//   std::vector<Violation> violations;
//   auto objects = ParseManifest(bytes, "weather.yaml", &violations);
//   if (!objects.ok()) { for (const Violation& v : violations) print(ToString(v)); }
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "crd/object.h"
#include "crd/violation.h"

namespace mcpfleet {

struct ManifestObject {
  Object object;  // validated; the spec as written, without defaults
  std::string file;
  int line = 0;                      // where the object begins
  std::map<std::string, int> lines;  // "spec.source.image.ref" -> line
  int column = 0;                    // where the object begins
};

// An object as it is written, not judged yet: what is merged with others first.
struct RawObject {
  Json value;
  int line = 0, column = 0;
  std::map<std::string, int> lines, columns;  // of the paths inside it
};

// Every object of `bytes`, in order, the items of a `kind: List` one by one. What is wrong with the text is as for
// ParseManifest, and so are the bounds.
StatusOr<std::vector<RawObject>> ReadRawObjects(std::string_view bytes, const std::string& file_name,
                                                std::vector<Violation>* violations);

// Every object of `bytes`, in order (the items of a `kind: List` one by one; empty documents are skipped).
// InvalidArgument when anything is wrong; then `violations` (may be null; appended to) has all of it, and the message
// is the first one. Namespaced objects without a namespace get "default". Bounds: 10 MB, depth 64, 100,000 nodes added
// by aliases.
StatusOr<std::vector<ManifestObject>> ParseManifest(std::string_view bytes, const std::string& file_name,
                                                    std::vector<Violation>* violations);

// Objects that are given twice across files: one violation for each but the first.
std::vector<Violation> FindDuplicates(const std::vector<ManifestObject>& objects);

// One YAML or JSON document as JSON, with the same traps refused, for other files in our style (mcplet.yaml, contexts).
// `lines` (may be null) gets path -> line.
StatusOr<Json> ParseYaml(std::string_view bytes, const std::string& file_name, std::map<std::string, int>* lines,
                         std::vector<Violation>* violations);

// The same for any number of documents; empty ones are skipped.
StatusOr<std::vector<Json>> ParseYamlDocuments(std::string_view bytes, const std::string& file_name,
                                               std::vector<Violation>* violations);

// The line (or the column, of a map with those) of `path` or of its nearest ancestor; 0 when there is none. `lines`
// must outlive the result.
LineOf LinesIn(const std::map<std::string, int>& lines);

}  // namespace mcpfleet
