// The images of this node in containerd: found, unpacked, held as long as a server may need them, and collected.
//
// A server runs from a configuration's hash (Artifact.digest), not from a name that may move. So each image that was
// used is held by a name of our own, "mcpfleet.dev/artifact/<hash>": whatever becomes of the name that it came by,
// containerd keeps its content until CollectArtifacts lets it go.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/image_format.h"
#include "edge-runtime/containerd/images.h"
#include "edge-runtime/containerd/snapshots.h"

namespace mcpfleet::containerd {

// An image with what is needed to make a container of it.
struct UsableImage {
  std::string name;
  Descriptor target;  // of the name
  Manifest manifest;
  ImageConfig config;
  Artifact ToArtifact() const;
  // Of the snapshot with all its layers; "" for an image without any.
  std::string Chain() const { return ChainId(config.diff_ids, config.diff_ids.size()); }
};

class ImageStore {
 public:
  // Both outlive this.
  ImageStore(const Connection& connection, const Snapshots& snapshots)
      : connection_(connection), snapshots_(snapshots) {}

  // By the reference as it stands or by its whole name. nullopt when there is none, or not all of it.
  StatusOr<std::optional<UsableImage>> Find(const std::string& ref, Deadline deadline) const;
  // By the hash of its configuration, among those that are held.
  StatusOr<UsableImage> FindHeld(const std::string& digest, Deadline deadline) const;
  // Makes the snapshots of its layers that are missing, held by `lease`. `unpacked` is told how many of how many.
  Status Unpack(const UsableImage& image, const std::string& lease, const std::function<void(size_t, size_t)>& unpacked,
                Deadline deadline) const;
  // `pulled`: by us, so that it may go again.
  Status Hold(const UsableImage& image, bool pulled, Deadline deadline) const;

  // Of those that we pulled.
  StatusOr<int64_t> HeldBytes(Deadline deadline) const;
  Status Collect(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) const;

 private:
  // What an image is made of, by the hash of its name's target: it never changes.
  struct Parts {
    Manifest manifest;
    ImageConfig config;
  };
  StatusOr<UsableImage> Read(const Image& image, Deadline deadline) const;
  StatusOr<Parts> ReadParts(const Image& image, Deadline deadline) const;
  Status UnpackLayer(const UsableImage& image, size_t layer, const std::string& lease, Deadline deadline) const;

  const Connection& connection_;
  const Snapshots& snapshots_;
  mutable Mutex mu_;
  mutable std::map<std::string, Parts> known_ GUARDED_BY(mu_);  // bounded
};

struct HeldImage {
  std::string hold, name;  // our name for it, and the one that it came by
  std::string digest;      // of its configuration
  int64_t bytes = 0;
  bool pulled = false;
  WallTime since{};
};
// Which to let go, oldest first, so that what remains fits the quota. Never one of `keep`, none that we did not pull.
std::vector<HeldImage> ImagesToLetGo(std::vector<HeldImage> held, const std::vector<std::string>& keep,
                                     int64_t quota_bytes);

}  // namespace mcpfleet::containerd
