// Any bytes as a manifest: no crash, no hang, bounded memory; and what is accepted survives every way that an object
// travels: canonical bytes, YAML, defaults, decoding.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "crd/canonical.h"
#include "crd/codec.h"
#include "crd/labels.h"
#include "crd/manifest.h"
#include "crd/quantity.h"
#include "crd/schema.h"

namespace {

void Check(bool holds, const char* what, const std::string& detail) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%s\n", what, detail.c_str());
  std::abort();
}

void CheckObject(const mcpfleet::Object& object) {
  using namespace mcpfleet;  // NOLINT: one function of a test
  Json json = ObjectToJson(object);
  StatusOr<std::string> canonical = Canonicalize(json);
  Check(canonical.ok(), "an accepted object has no canonical form", Message(canonical.status()));
  std::string yaml = ObjectToYaml(json);
  StatusOr<std::vector<ManifestObject>> back = ParseManifest(yaml, "yaml", nullptr);
  Check(back.ok() && back->size() == 1, "its YAML is not accepted", yaml + Message(back.status()));
  Check(ObjectToJson(back->front().object) == json, "its YAML is another object", yaml);
  StatusOr<std::vector<ManifestObject>> from_json = ParseManifest(*canonical, "json", nullptr);
  Check(from_json.ok() && from_json->size() == 1, "its JSON is not accepted", *canonical + Message(from_json.status()));
  Check(ObjectToJson(from_json->front().object) == json, "its JSON is another object", *canonical);
  if (object.kind != kKindServer) return;
  StatusOr<ServerSpec> spec = DecodeServerSpec(object.spec);
  Check(spec.ok(), "an accepted spec is not decoded", Message(spec.status()));
  StatusOr<ServerSpec> defaulted = ServerSpecOf(object);
  Check(defaulted.ok(), "a defaulted spec is not accepted", Message(defaulted.status()));
  Check(RevisionOf(*spec) == RevisionOf(*defaulted), "defaults move the revision", yaml);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  std::vector<mcpfleet::Violation> violations;
  auto parsed = mcpfleet::ParseManifest(text, "f.yaml", &violations);
  Check(parsed.ok() == violations.empty(), "status and violations disagree", mcpfleet::ToString(violations));
  if (parsed.ok()) {
    for (const mcpfleet::ManifestObject& object : *parsed) CheckObject(object.object);
  }
  auto any = mcpfleet::ParseYaml(text, "f.yaml", nullptr, nullptr);
  if (any.ok()) (void)mcpfleet::ObjectToYaml(*any);
  (void)mcpfleet::LabelSelector::Parse(text);
  (void)mcpfleet::ParseBytes(text);
  (void)mcpfleet::ParseCpuMilli(text);
  return 0;
}
