// containerd's configuration of a registry (hosts.toml), as far as a reference can say the same: containerd 1.7 takes
// no hosts directory from its clients, so a mirror is asked there under its own name, and what it gives is called by
// the registry's.
//
// A mirror that needs more than a name (a certificate authority, headers, a path of its own) is unusable that way, and
// says why. containerd 2.0 and later read the file themselves. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mcpfleet::containerd {

struct MirrorHost {
  std::string url;       // as written
  std::string prefix;    // in front of the repository: "mirror.example", "mirror.example:5000/proxy"
  bool resolves = true;  // tags too; else it has what is named by a digest
  std::string unusable;  // why it can't be asked by a name; "": it can
};
struct HostsFile {
  std::string server;  // where what no mirror has is asked for; "": the registry itself
  std::vector<MirrorHost> mirrors;
};

// The part of TOML that containerd's documentation uses. InvalidArgument names the line.
StatusOr<HostsFile> ParseHostsFile(std::string_view toml);

// "registry.example/team/weather:1" at a mirror.
std::string AtMirror(const std::string& name, const MirrorHost& mirror);
// Where in a hosts directory the file of a registry ("registry.example:5000") may be, the first one counts.
std::vector<std::string> HostsPaths(const std::string& directory, const std::string& registry);
// Whether `server` is the registry by another name.
bool IsRegistryItself(const std::string& server, const std::string& registry);

}  // namespace mcpfleet::containerd
