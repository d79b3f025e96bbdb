// Tells when an instance's directory or its processes change: inotify on the directories, pidfds on the monitors.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

// As ContainerRuntime::WatchEvents, over the directory that holds the instances' directories.
Status WatchInstances(const std::string& instances, const std::function<void(const std::string&)>& changed,
                      const std::stop_token& stop, Deadline deadline);

}  // namespace mcpfleet
