// Single long-lived programs of the node itself, each in a sandbox as an instance has it, without a shim: for the
// tunnel's cloudflared. They outlive mcplet; what runs is found again in files.
//
//   <directory>/<id>/   as of an instance (process_runtime.h), and files/ with what the program is given to read
//
// One thread at a time. Needs root.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/process/cgroups.h"
#include "edge-runtime/process/package_tool.h"

namespace mcpfleet {

struct ProgramsOptions {
  std::string directory;        // made when absent, 0700
  std::string state_directory;  // mcplet's: whose cgroups these are
  std::string sandbox_binary;   // mcp-sandbox
  std::string cgroup_parent = "mcpfleet";
  std::string relay_binary = "slirp4netns";  // looked for in PATH
};

struct ProgramSpec {
  std::string id;
  std::string program;                 // real path; seen as /program
  std::vector<std::string> arguments;  // behind argv[0]
  std::vector<std::string> environment;
  std::vector<ToolBind> binds;
  std::map<std::string, std::string> files;  // by name: readable by the program alone, at /files
  // A network namespace of its own, with a way out to all but `unreachable` ("10.0.0.0/8"). Else the host's is shared,
  // where landlock can keep it from binding ports.
  bool own_network = true;
  std::vector<std::string> unreachable;
  Resources limits;
  int64_t log_bytes = int64_t{1} << 20;
  int log_files = 3;
};

struct ProgramReport {
  std::string id;
  bool running = false;
  int pid = 0;                   // of the program, while it runs
  std::optional<ExitInfo> exit;  // once it has ended
};

class Programs {
 public:
  explicit Programs(ProgramsOptions options);

  // Why no program can be run here at all, and why none can have a network of its own; "" when it can.
  std::string Unable() const;
  std::string NoOwnNetwork() const;

  StatusOr<std::vector<ProgramReport>> List();
  // OK when it runs already. One that has ended is started anew with this spec; its log goes on.
  Status Start(const ProgramSpec& spec, Deadline deadline);
  void Terminate(const std::string& id);  // SIGTERM, without waiting
  // Kills it and removes its directory. Absent is OK.
  Status Remove(const std::string& id, Deadline deadline);
  // The last line of its log, without the time; "" when there is none.
  std::string LastWords(const std::string& id) const;

 private:
  std::string DirectoryOf(const std::string& id) const { return options_.directory + "/" + id; }
  StatusOr<std::string> ConfigOf(const ProgramSpec& spec) const;
  Status WriteFiles(const ProgramSpec& spec) const;
  Status End(const std::string& id, Deadline deadline);

  const ProgramsOptions options_;
  const Cgroups cgroups_;
};

}  // namespace mcpfleet
