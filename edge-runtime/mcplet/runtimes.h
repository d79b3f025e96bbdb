// The runtimes of this node as configured, with the programs they need.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/docker/attachments.h"
#include "edge-runtime/mcplet/config.h"

namespace mcpfleet {

struct Runtimes {
  std::unique_ptr<DockerAttachments> attachments;  // of Docker's instances without the shim; null without Docker
  std::map<RuntimeKind, std::unique_ptr<ContainerRuntime>> all;
  std::map<RuntimeKind, LogTails*> tails;  // the same ones
  std::map<RuntimeKind, ContainerRuntime*> Pointers() const;
  // LogTails::OpenTail of the instance's runtime. Unavailable when that is not in use.
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const InstanceReport& instance, const TailFrom& from,
                                              Deadline deadline) const;
};

// Installs the shim's versioned copy (without one Docker's servers are attached, and the other runtimes are off) and
// makes every runtime that the configuration allows. A runtime that can't be used now is there all the same: its Check
// says why, and it is used as soon as it can be.
StatusOr<Runtimes> MakeRuntimes(const Config& config, const Clock& clock);

}  // namespace mcpfleet
