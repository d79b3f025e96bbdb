// One cgroup per instance, <hierarchy>/<parent>/<scope>/<id>, in cgroup v2 or in the v1 hierarchies of memory, cpu,
// cpuacct and pids, whichever has the controllers. The scope belongs to one state directory: nothing outside it is
// ever read, written, killed or removed. Thread-safe after Detect.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "crd/server_spec.h"

namespace mcpfleet {

class Cgroups {
 public:
  // Reads what is mounted. `mountinfo` as of /proc/self/mountinfo.
  static Cgroups Detect(const std::string& mountinfo, const std::string& parent, const std::string& scope);

  // Of "memory", "cpu", "pids": those that no hierarchy here offers.
  std::vector<std::string> Missing() const;
  // Makes the directories and sets the limits; again for the same id: sets them anew.
  Status Make(const std::string& id, const Resources& limits) const;
  std::vector<std::string> Directories(const std::string& id) const;
  std::string OomFile(const std::string& id) const;  // "" without a memory controller
  InstanceUsage Usage(const std::string& id) const;
  void KillAll(const std::string& id) const;
  // Waits for what was killed to be gone. OK when absent.
  Status Remove(const std::string& id, Deadline deadline) const;

 private:
  std::string Of(const std::string& controller, const std::string& id) const;
  Status Set(const std::string& controller, const std::string& id, const std::string& file,
             const std::string& value) const;

  bool v2_ = false;
  std::string v2_root_;
  std::map<std::string, std::string> roots_;  // controller -> root of its hierarchy
  std::string parent_, scope_;
};

}  // namespace mcpfleet
