#include "cli/registry/package_versions.h"

#include <unistd.h>

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/brief_run.h"
#include "base/strings.h"

namespace mcpfleet::registry {
namespace {

constexpr size_t kManifestBytes = size_t{4} << 20;
constexpr size_t kProjectBytes = size_t{32} << 20;  // PyPI lists every file of every version

// As npm itself finds it: from its configuration files and the environment.
StatusOr<std::string> NpmRegistry(Deadline deadline) {
  std::vector<std::string> environment;
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  const StatusOr<BriefRun> run = RunBriefly({"npm", "config", "get", "registry"}, deadline, environment);
  if (run.ok() && run->code == 0) return std::string(Trim(run->output));
  return FailedPrecondition("npm does not say here which registry it uses (" +
                            (run.ok() ? "it ended with " + std::to_string(run->code) : Message(run.status())) +
                            "); MCPCTL_NPM_REGISTRY names one");
}

}  // namespace

PackageSources SourcesOfEnvironment() {
  PackageSources sources;
  if (const char* npm = getenv("MCPCTL_NPM_REGISTRY"); npm != nullptr && *npm != '\0') sources.npm = npm;
  if (const char* pypi = getenv("MCPCTL_PYPI"); pypi != nullptr && *pypi != '\0') sources.pypi = pypi;
  return sources;
}

StatusOr<std::string> NewestVersion(const PackageSources& sources, const std::string& manager, const std::string& name,
                                    const std::string& tag, const OnRequest& on_request, Deadline deadline) {
  const bool npm = manager == "npm";
  std::string base = npm ? sources.npm : sources.pypi;
  if (base.empty()) {
    ASSIGN_OR_RETURN(base, NpmRegistry(deadline));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<JsonSource> source,
                   JsonSource::Create(npm ? "npm" : "PyPI", base, on_request));
  const std::string target = npm ? "/" + PercentEncode(name) + "/" + PercentEncode(tag.empty() ? "latest" : tag)
                                 : "/pypi/" + PercentEncode(name) + "/json";
  ASSIGN_OR_RETURN(const Json answer, source->Get(target, npm ? kManifestBytes : kProjectBytes, deadline));
  const std::string version = GetString(npm ? answer : GetMember(answer, "info"), "version");
  if (version.empty()) return FailedPrecondition(manager + " says no version of " + Printable(name, 100));
  return version;
}

}  // namespace mcpfleet::registry
