// What is on disk of one instance, and what can be told from it. Names of files: sandbox_format.h.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

struct InstanceRecord {
  InstanceReport report;
  Resources limits;
  int64_t log_bytes = 0;
  bool required = true;  // enforcement: Required
  int monitor_pid = 0;   // alive when not 0
};

// instance.json of a new instance.
std::string InstanceJson(const InstanceSpec& spec, const std::string& node, const std::string& unenforced,
                         WallTime now);
// NotFound when there is no such directory. A directory that lost its instance.json is reported as exited with only
// its id known, so that it can be removed.
StatusOr<InstanceRecord> ReadInstance(const std::string& directory, const std::string& id);
// Who holds the lock: pid of the living monitor, or 0.
int MonitorPid(const std::string& directory);
// A descriptor of PID 1 of the instance, if it is still the process that was written down.
UniqueFd OpenInit(const std::string& directory);
UniqueFd OpenPid(int pid);
// Signals the process behind a pidfd; false when it is gone.
bool SignalPid(const UniqueFd& pidfd, int signal);

}  // namespace mcpfleet
