// containerd's Events service: what happens to containers and tasks, as hints.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

struct ContainerEvent {
  std::string topic;      // "/tasks/exit"; "" once: the watch stands
  std::string container;  // id, "" when the event names none
};

// Calls `seen` with an empty event once the watch stands, then with each event of our namespace, until `stop` is
// requested (OK, at once), the stream breaks (its status) or the deadline.
Status WatchContainers(const Connection& connection, const std::function<void(const ContainerEvent&)>& seen,
                       const std::stop_token& stop, Deadline deadline);

}  // namespace mcpfleet::containerd
