#include "edge-runtime/mcplet/doctor.h"

#include <unistd.h>

#include <ostream>

#include "base/fd.h"
#include "base/libexec.h"
#include "edge-runtime/mcplet/node_conditions.h"
#include "edge-runtime/mcplet/runtimes.h"
#include "edge-runtime/process/package_tool.h"

namespace mcpfleet {
namespace {

enum class Finding { kGood, kMissing, kBroken };

void Say(std::ostream& out, Finding finding, const std::string& what, const std::string& mend = "") {
  const char* mark = finding == Finding::kGood ? "ok     " : finding == Finding::kMissing ? "missing" : "BROKEN ";
  out << mark << "  " << what << "\n";
  if (!mend.empty()) out << "           -> " << mend << "\n";
}

void SayProgram(std::ostream& out, const std::string& name, const std::string& without_it) {
  std::string found = FindProgram(name);
  if (!found.empty())
    Say(out, Finding::kGood, name + ": " + found);
  else
    Say(out, Finding::kMissing, name + ": not in PATH; " + without_it, "apt-get install " + name);
}

bool SayRuntime(std::ostream& out, ContainerRuntime& runtime) {
  RuntimeCheck check = runtime.Check(Deadline::After(std::chrono::seconds(5)));
  std::string name = "runtime " + std::string(ToString(runtime.kind()));
  if (!check.available) {
    Say(out, Finding::kMissing, name + ": " + check.reason);
    return false;
  }
  Say(out, Finding::kGood, name + ": " + check.version);
  for (const std::string& lacking : check.unenforced) {
    Say(out, Finding::kMissing, name + " can't enforce: " + lacking,
        "servers with securityContext.enforcement Required that need it won't start here");
  }
  return true;
}

}  // namespace

bool RunDoctor(const Config& config, const Clock& clock, std::ostream& out) {
  bool usable = false;
  out << "node " << config.node << ", state in " << config.state_directory << "\n";
  Say(out, geteuid() == 0 ? Finding::kGood : Finding::kBroken, geteuid() == 0 ? "runs as root" : "does not run as root",
      geteuid() == 0 ? "" : "sandboxes need root: run as root, or by the systemd unit");
  for (const char* program : {"mcp-shim", "mcp-sandbox"}) {
    StatusOr<std::string> found = FindOwnProgram(program);
    Say(out, found.ok() ? Finding::kGood : Finding::kBroken,
        found.ok() ? std::string(program) + ": " + *found : Message(found.status()));
  }
  if (Status made = MakeDirectories(config.state_directory, 0711); !made.ok()) {
    Say(out, Finding::kBroken, Message(made), "make it writable, or set spec.stateDirectory in mcplet.yaml");
    return false;
  }
  StatusOr<Runtimes> runtimes = MakeRuntimes(config, clock);
  if (!runtimes.ok()) {
    Say(out, Finding::kBroken, Message(runtimes.status()));
  } else {
    for (const auto& [kind, runtime] : runtimes->all) usable = SayRuntime(out, *runtime) || usable;
  }
  SayProgram(out, "npm", "npm packages can't be installed");
  SayProgram(out, "python3", "pypi packages can't be installed");
  SayProgram(
      out, "slirp4netns",
      "in runtime Process network Outbound shares the node's network, and is refused where enforcement is Required");
  NodeFacts facts = ReadKernelFacts(config.state_directory);
  Say(out, facts.clock_synced ? Finding::kGood : Finding::kMissing,
      facts.clock_synced ? "clock is synchronised" : "clock is not synchronised by NTP",
      facts.clock_synced ? "" : "apt-get install systemd-timesyncd, or chrony");
  Say(out, Finding::kGood,
      std::to_string(facts.disk_free_bytes >> 20) + " MiB free on disk, " +
          std::to_string(facts.memory_available_bytes >> 20) + " MiB memory available");
  out << (usable ? "servers can run here\n" : "no server can run here until a runtime is usable\n");
  return usable;
}

}  // namespace mcpfleet
