// The revision of a server: what takes a new instance to change.
#include <nlohmann/json.hpp>

#include "crd/canonical.h"
#include "crd/server_spec.h"
#include "crd/spec_codec.h"

namespace mcpfleet {

std::string RevisionOf(const ServerSpec& spec) {
  Json json = EncodeServerSpec(spec);
  for (const char* field : {"placement", "suspend", "probes", "restartPolicy", "terminationGracePeriod", "sessions",
                            "tools", "auth", "rateLimit", "expose", "updateStrategy", "activation"})
    json.erase(field);
  if (auto image = json["source"].find("image"); image != json["source"].end()) image->erase("pullSecret");
  StatusOr<std::string> bytes = Canonicalize(json);
  // Only text that is not UTF-8 can fail, which no validated spec contains; then the hash is of the escaped form.
  return HashOf(bytes.ok() ? *bytes : DumpJson(json));
}

}  // namespace mcpfleet
