// Runs instances as sandboxed process trees, without a container engine: one mcp-sandbox program per instance makes
// the namespaces and stays as the monitor of the instance's PID 1 (the shim). No daemon and no database: everything
// is in files below the state directory, so what runs is found again after any crash of mcplet.
//
//   <state>/process/instances/<id>/   instance.json (labels), sandbox.conf (for mcp-sandbox), lock (held by the live
//                                     monitor), pid (of PID 1), exit.json, log, log.1 …, previous.*
//   <state>/packages/                 npm and pypi trees by content, the pinned Node, lock files (package_cache.h)
//
// Inside an instance: /usr and the like read-only from the host, a small generated /etc, /tmp, /dev, /proc, the
// package at /package, its interpreter at /runtime, volumes, /.mcp-shim and /.mcp. Nothing else of the host.
//
// Thread-safe. Needs root; Check says so. Deadlines hold for every call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"

namespace mcpfleet {

struct ProcessRuntimeOptions {
  std::string state_directory;               // made when absent; absolute
  std::string sandbox_binary;                // mcp-sandbox
  std::string shim_binary;                   // mcp-shim, or what stands in for it: a static program
  std::string node_name;                     // of this node: part of instance.json
  const Clock* clock = nullptr;              // outlives the runtime
  std::string cgroup_parent = "mcpfleet";    // directory below the root of each cgroup hierarchy
  std::string relay_binary = "slirp4netns";  // looked for in PATH
  std::string npm_binary = "npm";            // looked for in PATH
  std::string python_binary = "python3";
  // argv of PID 1 is {"/.mcp-shim", shim_arguments…, "--", server argv…}; "{id}" is replaced. For tests.
  std::vector<std::string> shim_arguments = {"--instance", "{id}", "--socket", "/.mcp/agent.sock"};
};

class ProcessRuntime : public ContainerRuntime, public LogTails {
 public:
  using ContainerRuntime::Create;
  // Makes the directories and clears away what a crash left half done. Failures of the environment (not root, no
  // cgroups) are no error here: Check reports them.
  static StatusOr<std::unique_ptr<ProcessRuntime>> Create(ProcessRuntimeOptions options);
};

}  // namespace mcpfleet
