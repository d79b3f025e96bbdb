// containerd's Images service: names for content.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/descriptor.h"

namespace mcpfleet::containerd {

struct Image {
  std::string name;  // "docker.io/library/busybox:latest"
  std::map<std::string, std::string> labels;
  Descriptor target;
  WallTime created_at{};
};

StatusOr<std::optional<Image>> GetImage(const Connection& connection, const std::string& name, Deadline deadline);
// Those that match the filter, a containerd filter expression.
StatusOr<std::vector<Image>> ListImages(const Connection& connection, const std::string& filter, Deadline deadline);
// AlreadyExists when the name is taken.
Status CreateImage(const Connection& connection, const Image& image, Deadline deadline);
// Absent is OK. containerd collects what nothing names any more by itself.
Status DeleteImage(const Connection& connection, const std::string& name, Deadline deadline);

}  // namespace mcpfleet::containerd
