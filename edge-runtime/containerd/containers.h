// containerd's Containers service: what a container is to be. It runs nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

struct Container {
  std::string id;
  std::map<std::string, std::string> labels;
  std::string image;    // name, for people
  std::string runtime;  // "io.containerd.runc.v2"
  std::string spec;     // OCI runtime specification, JSON; not read back by ListContainers
  std::string snapshotter, snapshot_key;
  WallTime created_at{};
};

// NotFound when there is none.
StatusOr<Container> GetContainer(const Connection& connection, const std::string& id, Deadline deadline);
StatusOr<std::vector<Container>> ListContainers(const Connection& connection, const std::string& filter,
                                                Deadline deadline);
// AlreadyExists when the id is taken.
Status CreateContainer(const Connection& connection, const Container& container, const std::string& lease,
                       Deadline deadline);
Status LabelContainer(const Connection& connection, const std::string& id, const std::string& label,
                      const std::string& value, Deadline deadline);
// Absent is OK; FailedPrecondition while it has a task.
Status DeleteContainer(const Connection& connection, const std::string& id, Deadline deadline);

}  // namespace mcpfleet::containerd
