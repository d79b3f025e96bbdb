#include "edge-runtime/mcplet/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>

#include "base/brief_run.h"
#include "base/fd.h"
#include "base/libexec.h"
#ifdef MCPFLEET_CONTAINERD
#include "edge-runtime/containerd/network.h"
#endif
#include "edge-runtime/mcplet/runtimes.h"
#include "edge-runtime/process/enforcement.h"
#include "edge-runtime/process/package_tool.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

std::string MendOf(RuntimeKind kind) {
  if (kind == RuntimeKind::kProcess)
    return "what the line above asks for; containers of Docker run meanwhile, where an engine answers";
  if (kind == RuntimeKind::kContainerd)
    return "apt-get install containerd, or systemctl start containerd; one elsewhere is named by "
           "spec.runtimes.containerd.socket in mcplet.yaml (k3s: /run/k3s/containerd/containerd.sock)";
  return "apt-get install docker.io, or systemctl start docker; an engine elsewhere is named by "
         "spec.runtimes.docker.socket in mcplet.yaml. Servers of the runtime Process need none";
}

std::string MendOfUnenforced(const std::string& lacking) {
  std::string mend = "until then servers with securityContext.enforcement Required that need it don't start here";
  if (const size_t at = lacking.find("no cgroup controller "); at != std::string::npos) {
    const size_t begin = at + std::string_view("no cgroup controller ").size();
    const std::string controller = lacking.substr(begin, lacking.find(' ', begin) - begin);
    return "boot with cgroup_enable=" + controller + ", or mount the cgroup hierarchy that has it; " + mend;
  }
  return "mend the engine or the kernel ('docker info' says it too); " + mend;
}

void AddRuntimes(const NodeExam& exam, std::vector<Finding>* out) {
  if (!exam.runtimes_made.ok()) {
    out->push_back(Broken("runtimes: " + Message(exam.runtimes_made), "mend what the lines above say"));
    return;
  }
  if (exam.runtimes.empty())
    out->push_back(Broken("no runtime is allowed", "enable one under spec.runtimes in mcplet.yaml"));
  for (const auto& [kind, check] : exam.runtimes) {
    const std::string name = "runtime " + std::string(ToString(kind));
    if (!check.available) {
      out->push_back(Missing(name + ": " + check.reason, MendOf(kind)));
      continue;
    }
    out->push_back(Good(name + ": " + check.version));
    for (const std::string& lacking : check.unenforced)
      out->push_back(Missing(name + " can't enforce: " + lacking, MendOfUnenforced(lacking)));
  }
}

void AddBridge(const NodeExam& exam, std::vector<Finding>* out) {
  if (!exam.containerd) return;
  if (exam.no_bridge.empty()) {
    out->push_back(Good("runtime Containerd: network Outbound has its CNI plugins"));
    return;
  }
  const size_t split = exam.no_bridge.find("; ");
  out->push_back(Missing("runtime Containerd: " + exam.no_bridge.substr(0, split),
                         split == std::string::npos ? "mend that file" : exam.no_bridge.substr(split + 2)));
}

void AddPackageTools(const NodeExam& exam, std::vector<Finding>* out) {
  const auto add = [out](const std::string& name, const std::string& path) {
    if (!path.empty())
      out->push_back(Good(name + ": " + path));
    else
      out->push_back(Missing(name + ": not in PATH; npm packages can't be installed", "apt-get install nodejs npm"));
  };
  add("npm", exam.npm);
  add("node", exam.node);
  if (!exam.python.ok())
    out->push_back(Missing(Message(exam.python.status()), "apt-get install python3 python3-pip"));
  else if (!exam.pip)
    out->push_back(
        Missing(*exam.python + " has no pip; pypi packages can't be installed", "apt-get install python3-pip"));
  else
    out->push_back(Good("python3 with pip: " + *exam.python));
}

void AddNode(const NodeExam& exam, std::vector<Finding>* out) {
  out->push_back(exam.facts.clock_synced
                     ? Good("clock is synchronised")
                     : Missing("clock is not synchronised by NTP", "apt-get install systemd-timesyncd, or chrony"));
  const std::string disk = std::to_string(exam.facts.disk_free_bytes >> 20) + " MiB free on disk";
  const std::string memory = std::to_string(exam.facts.memory_available_bytes >> 20) + " MiB memory available";
  // The same limits as the node's own conditions, so that both say the same.
  const std::vector<Condition> conditions = NodeConditions(exam.facts, {}, WallTime{});
  const auto under = [&conditions](std::string_view type) {
    const Condition* found = FindCondition(conditions, type);
    return found != nullptr && found->status == ConditionStatus::kTrue;
  };
  out->push_back(under("DiskPressure") ? Missing(disk, "free space, or set spec.stateDirectory to a larger disk")
                                       : Good(disk));
  out->push_back(under("MemoryPressure") ? Missing(memory, "stop what uses it, lower resources.limits, or add memory")
                                         : Good(memory));
}

// Whether the interpreter has pip; false as well when it says nothing in time.
bool HasPip(const std::string& python) {
  const StatusOr<BriefRun> run = RunBriefly({python, "-I", "-c", "import pip"}, Deadline::After(seconds(20)));
  return run.ok() && run->code == 0;
}

// In a directory of its own: making the runtimes of the real one ends what a running mcplet is about to install or
// create.
void LookAtRuntimes(Config config, const Clock& clock, NodeExam* exam) {
  std::string scratch = config.state_directory + "/.doctor-XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr || chmod(scratch.c_str(), 0711) != 0) {
    exam->state_directory = ErrnoStatus(errno, scratch);
    return;
  }
  config.state_directory = scratch;
  {
    StatusOr<Runtimes> runtimes = MakeRuntimes(config, clock);
    exam->runtimes_made = runtimes.status();
    if (runtimes.ok())
      for (const auto& [kind, runtime] : runtimes->all)
        exam->runtimes[kind] = runtime->Check(Deadline::After(seconds(5)));
  }
  RemoveTree(scratch).IgnoreError();
}

NodeExam Look(const Config& config, const Clock& clock) {
  NodeExam exam;
  exam.root = geteuid() == 0;
  for (const char* program : {"mcp-shim", "mcp-sandbox"}) exam.own_programs.emplace(program, FindOwnProgram(program));
  exam.state_directory = MakeDirectories(config.state_directory, 0711);
  if (exam.state_directory.ok()) LookAtRuntimes(config, clock, &exam);
  exam.npm = FindProgram("npm");
  exam.node = FindProgram("node");
  exam.python = FindPython("python3");
  exam.pip = exam.python.ok() && HasPip(*exam.python);
  if (exam.state_directory.ok()) exam.tunnel = LookAtTunnel(config);
  exam.no_relay = NoRelay(FindProgram("slirp4netns"));
#ifdef MCPFLEET_CONTAINERD
  exam.containerd = config.containerd.enabled;
  if (exam.containerd) {
    exam.own_programs.emplace("mcp-log", FindOwnProgram("mcp-log"));
    exam.no_bridge = containerd::Network({.plugin_directories = config.containerd.cni_directories,
                                          .configuration_file = config.containerd.cni_file})
                         .WhyNot();
  }
#endif
  exam.facts = ReadKernelFacts(config.state_directory);
  return exam;
}

void Print(const Finding& finding, std::ostream& out) {
  const char* mark = finding.kind == FindingKind::kGood      ? "ok     "
                     : finding.kind == FindingKind::kMissing ? "missing"
                                                             : "BROKEN ";
  out << mark << "  " << finding.what << "\n";
  if (!finding.mend.empty()) out << "           -> " << finding.mend << "\n";
}

}  // namespace

bool CanRunServers(const NodeExam& exam) {
  return exam.state_directory.ok() && exam.runtimes_made.ok() &&
         std::any_of(exam.runtimes.begin(), exam.runtimes.end(),
                     [](const auto& runtime) { return runtime.second.available; });
}

std::vector<Finding> Diagnose(const NodeExam& exam) {
  std::vector<Finding> out;
  out.push_back(exam.root ? Good("runs as root")
                          : Broken("does not run as root", "sandboxes need root: run as root, or by the systemd unit"));
  for (const auto& [name, found] : exam.own_programs) {
    out.push_back(found.ok() ? Good(name + ": " + *found)
                             : Broken(Message(found.status()),
                                      "install it beside mcplet (apt-get install --reinstall mcpfleet), or name its "
                                      "folder in MCPFLEET_LIBEXEC"));
  }
  if (!exam.state_directory.ok()) {
    out.push_back(Broken(Message(exam.state_directory), "make it writable, or set spec.stateDirectory in mcplet.yaml"));
    return out;
  }
  AddRuntimes(exam, &out);
  AddBridge(exam, &out);
  AddPackageTools(exam, &out);
  if (exam.no_relay.empty()) {
    out.push_back(Good("network Outbound has a namespace of its own"));
  } else {
    const size_t split = exam.no_relay.find("; ");
    out.push_back(Missing(exam.no_relay.substr(0, split) +
                              ": in runtime Process network Outbound shares the node's network, and is refused where "
                              "enforcement is Required",
                          split == std::string::npos ? exam.no_relay : exam.no_relay.substr(split + 2)));
  }
  AddTunnel(exam.tunnel, &out);
  AddNode(exam, &out);
  return out;
}

bool RunDoctor(const Config& config, const Clock& clock, std::ostream& out) {
  const NodeExam exam = Look(config, clock);
  out << "node " << config.node << ", state in " << config.state_directory << "\n";
  for (const Finding& finding : Diagnose(exam)) Print(finding, out);
  const bool usable = CanRunServers(exam);
  out << (usable ? "servers can run here\n" : "no server can run here until a runtime is usable\n");
  return usable;
}

}  // namespace mcpfleet
