// What a container carries of its instance: labels from which List rebuilds everything. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/containers.h"
#include "edge-runtime/containerd/tasks.h"

namespace mcpfleet::containerd {

inline constexpr char kLabelNode[] = "dev.mcpfleet.node";
inline constexpr char kLabelInstance[] = "dev.mcpfleet.instance";
// Nanoseconds since 1970 at which its task was last made; absent while it never ran.
inline constexpr char kLabelStarted[] = "dev.mcpfleet.started";

// The filter for what carries this node's label.
std::string OfNode(const std::string& node);

struct LabelContext {
  std::string node, unenforced;
  bool shim = true;
};
std::map<std::string, std::string> LabelsOf(const InstanceSpec& spec, const LabelContext& context);

// What is in the labels beside the report.
struct OwnContainer {
  InstanceReport report;  // without what only the task knows
  NetworkMode network = NetworkMode::kNone;
  int64_t log_bytes = 0;
  int log_files = 1;
  bool started = false;
  std::string snapshot_key;
};
// nullopt for a container that is not this node's, whatever it says it is.
std::optional<OwnContainer> OwnContainerOf(const Container& container, const std::string& node);

// containerd reports 128+n for a signal and cannot tell it from exit(128+n).
ExitInfo ExitOf(uint32_t status, bool oom);

}  // namespace mcpfleet::containerd
