// Any bytes as something to convert: no crash, no hang; and what comes out is a manifest that is accepted.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "cli/convert/convert.h"
#include "crd/codec.h"
#include "crd/manifest.h"

namespace {

void Check(bool holds, const char* what, const std::string& detail) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%s\n", what, detail.c_str());
  std::abort();
}

void CheckConversion(const mcpfleet::convert::Conversion& conversion) {
  using namespace mcpfleet;  // NOLINT: one function of a test
  for (const Json& object : conversion.objects) {
    const std::string yaml = ObjectToYaml(object);
    StatusOr<std::vector<ManifestObject>> back = ParseManifest(yaml, "yaml", nullptr);
    Check(back.ok() && back->size() == 1, "what was converted is not accepted", yaml + Message(back.status()));
  }
  for (const convert::Remark& loss : conversion.losses) Check(!loss.text.empty(), "a loss without a reason", loss.path);
  for (const convert::SecretNeed& need : conversion.secrets)
    Check(!need.name.empty() && !need.values.empty(), "a secret of nothing", need.name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace mcpfleet;  // NOLINT: one function of a test
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  convert::Options options;
  options.values = {{"a", "b"}, {"port", "80"}};
  StatusOr<convert::Conversion> conversion = convert::Convert(text, "f", options);
  if (!conversion.ok()) return 0;
  CheckConversion(*conversion);
  for (const convert::PackageRef& package : conversion->unpinned) options.versions[package] = "1.0.0";
  if (options.versions.empty()) return 0;
  StatusOr<convert::Conversion> pinned = convert::Convert(text, "f", options);
  Check(pinned.ok(), "versions make it unreadable", Message(pinned.status()));
  Check(pinned->unpinned.empty(), "a version that is given is asked for", "");
  CheckConversion(*pinned);
  return 0;
}
