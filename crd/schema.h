// The schema of our kinds, read once from crd/*.yaml (compiled in). The same rules judge a manifest in mcpctl, an
// object that a node read from the store, and (through the CRDs) Kubernetes. Immutable: any thread may call.
//
// Validation reports everything at once. Cross-field rules that Kubernetes gets as CEL are C++ here (crd/rules.h).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "crd/violation.h"

namespace mcpfleet {

// One field of the structural schema.
struct SchemaNode {
  enum class Type { kObject, kMap, kArray, kString, kInteger, kBoolean, kIntOrString, kAny };
  Type type = Type::kAny;
  std::string description;
  std::string format;   // "bytes", "cpu", "duration" are checked; others are notes
  std::string example;  // shown beside a pattern
  std::string pattern;
  std::vector<std::string> enumeration;
  std::vector<std::string> required;
  std::optional<int64_t> minimum, maximum;
  std::optional<int64_t> min_length, max_length;  // characters
  std::optional<int64_t> min_items, max_items;    // of arrays; of maps, properties
  std::vector<std::string> list_map_keys;         // x-kubernetes-list-map-keys
  bool list_set = false;                          // x-kubernetes-list-type: set
  bool has_default = false;
  std::string default_json;
  std::map<std::string, std::unique_ptr<SchemaNode>> properties;  // kObject
  std::vector<std::string> order;                                 // of properties, as in the file
  std::unique_ptr<SchemaNode> items;                              // of kArray, and the values of kMap
};

struct PrinterColumn {
  std::string name, type, json_path, description;
  int priority = 0;  // 0: always shown; 1: with -o wide
};

struct KindSchema {
  std::string kind, plural, singular;
  std::vector<std::string> short_names, categories;
  bool namespaced = true;
  std::vector<PrinterColumn> columns;
  std::unique_ptr<SchemaNode> root;  // apiVersion, kind, metadata, spec, status
};

class Schema {
 public:
  // The compiled-in schema.
  static const Schema& Builtin();
  // From the text of CustomResourceDefinitions. Internal for anything that is not one or uses what we do not implement.
  static StatusOr<std::unique_ptr<Schema>> Parse(const std::vector<std::string_view>& crds);
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  ~Schema();

  const std::vector<std::unique_ptr<KindSchema>>& kinds() const { return kinds_; }
  // By kind, plural, singular or short name, in any case; null when there is none.
  const KindSchema* Find(std::string_view name) const;

  // Everything wrong with a whole object (apiVersion, kind, metadata, spec; `status` is ignored) of a manifest or the
  // store, defaulted or not. `line_of` gives lines (see Violation); without it they are 0. File is left empty.
  std::vector<Violation> Validate(std::string_view kind, const Json& object, const LineOf& line_of = {}) const;

  // Fills in the schema's defaults below spec; what the manifest says stays. Unknown kinds are left alone.
  void ApplyDefaults(std::string_view kind, Json* object) const;

  // Text as of `kubectl explain`: "mcpserver", "mcps.spec.source", "MCPServer.spec.env.name". `recursive` lists the
  // whole tree. NotFound names the nearest field.
  StatusOr<std::string> Explain(std::string_view path, bool recursive) const;

 private:
  Schema() = default;
  std::vector<std::unique_ptr<KindSchema>> kinds_;
};

}  // namespace mcpfleet
