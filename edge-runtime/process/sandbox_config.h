// Writes what mcp-sandbox reads (sandbox_format.h). Pure but for looking at how the host lays out /bin and /lib.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

class SandboxConfig {
 public:
  SandboxConfig();
  // One record: key and arguments. A word with a NUL inside spoils the whole.
  void Add(std::initializer_list<std::string_view> words);
  // /usr, /bin, /lib …, what programs need of /etc, and a minimal /dev.
  void AddSystem(int64_t uid, bool with_resolver);
  void AddCgroups(const std::vector<std::string>& directories, const std::string& oom_file);
  StatusOr<std::string> Finish() const;

 private:
  std::string text_;
  bool spoiled_ = false;
};

// What an instance needs from this node besides its spec.
struct SandboxPlace {
  std::string shim_binary;
  std::vector<std::string> shim_arguments;
  std::string runtime_directory;  // the interpreter's, at /runtime; "" for none
  std::vector<std::string> cgroups;
  std::string oom_file;
};

// argv of the server: command and args, else the artifact's entrypoint with args or its defaults.
std::vector<std::string> ServerArgv(const InstanceSpec& instance);
// InvalidArgument names the field that can't be made.
StatusOr<std::string> BuildSandboxConfig(const InstanceSpec& instance, const SandboxPlace& place);

}  // namespace mcpfleet
