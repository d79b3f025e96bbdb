// Writes what mcp-sandbox reads (sandbox_format.h). Pure but for looking at how the host lays out /bin and /lib.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// Whose names and addresses an instance sees: only its own, the host's, or the host's through its relay.
enum class Resolver { kNone, kHost, kRelay };

class SandboxConfig {
 public:
  SandboxConfig();
  // One record: key and arguments. A word with a NUL inside spoils the whole.
  void Add(std::initializer_list<std::string_view> words);
  // /usr, /bin, /lib …, what programs need of /etc, and a minimal /dev.
  void AddSystem(int64_t uid, Resolver resolver);
  void AddCgroups(const std::vector<std::string>& directories, const std::string& oom_file);
  StatusOr<std::string> Finish() const;

 private:
  std::string text_;
  bool spoiled_ = false;
};

// What an instance needs from this node besides its spec.
struct SandboxPlace {
  std::string shim_binary;
  std::string relay_binary;  // slirp4netns, for network Outbound; "": none here, the host's network is shared
  std::vector<std::string> shim_arguments;
  std::string runtime_directory;  // the interpreter's, at /runtime; "" for none
  std::vector<std::string> cgroups;
  std::string oom_file;
};

// resolv.conf behind slirp4netns: its own name server, which asks the host's, and the host's search list.
std::string RelayResolver(std::string_view host_resolver);
// argv of the server: command and args, else the artifact's entrypoint with args or its defaults.
std::vector<std::string> ServerArgv(const InstanceSpec& instance);
// InvalidArgument names the field that can't be made.
StatusOr<std::string> BuildSandboxConfig(const InstanceSpec& instance, const SandboxPlace& place);

}  // namespace mcpfleet
