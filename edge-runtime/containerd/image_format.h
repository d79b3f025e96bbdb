// What is in an image: names, index, manifest, configuration, as pure conversions (OCI image specification, and
// Docker's schema 2, which is the same with other media types).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/descriptor.h"

namespace mcpfleet::containerd {

// The whole name that containerd keeps images by: "busybox" -> "docker.io/library/busybox:latest".
std::string WholeImageName(std::string_view ref);

// "amd64", "arm64": this machine, as images call it.
std::string_view MachineArchitecture();

// Of an index or manifest list the manifest for linux on `architecture`; NotFound says which platforms there are.
StatusOr<Descriptor> ManifestFor(std::string_view index, std::string_view architecture);
bool IsIndex(std::string_view media_type);

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;
};
StatusOr<Manifest> ParseManifest(std::string_view json);

struct ImageConfig {
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_directory;
  std::vector<std::string> diff_ids;  // of its layers, unpacked
};
StatusOr<ImageConfig> ParseImageConfig(std::string_view json);

// The name of the snapshot that the first `layers` of the diff ids make: what containerd and all its clients call it.
std::string ChainId(const std::vector<std::string>& diff_ids, size_t layers);

}  // namespace mcpfleet::containerd
