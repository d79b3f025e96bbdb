// Runs one CNI plugin (github.com/containernetworking/cni, SPEC.md): a program that gets its configuration on stdin and
// answers on stdout.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::containerd {

struct CniCall {
  std::string command;  // "ADD", "DEL", "VERSION"
  std::string container, network_namespace, interface;
  std::vector<std::string> plugin_directories;
};

// The program of a plugin in the first of the directories that has it; "" when none has.
std::string FindPlugin(const std::vector<std::string>& directories, const std::string& type);
// What it printed. Its own error message, when it fails with one. It is killed at the deadline.
StatusOr<std::string> RunPlugin(const std::string& program, const CniCall& call, const std::string& configuration,
                                Deadline deadline);

}  // namespace mcpfleet::containerd
