#include "edge-runtime/containerd/image_store.h"

#include <algorithm>
#include <cstdlib>

#include "base/digest.h"
#include "base/log.h"
#include "edge-runtime/containerd/content.h"
#include "edge-runtime/containerd/diff.h"

namespace mcpfleet::containerd {
namespace {

constexpr size_t kManifestBytes = size_t{4} << 20;
constexpr size_t kKnownImages = 64;
constexpr char kHoldPrefix[] = "mcpfleet.dev/artifact/";
constexpr char kLabelDigest[] = "dev.mcpfleet.artifact";
constexpr char kLabelName[] = "dev.mcpfleet.image";
constexpr char kLabelPulled[] = "dev.mcpfleet.pulled";
constexpr char kLabelBytes[] = "dev.mcpfleet.bytes";
constexpr char kHeldFilter[] = "labels.\"dev.mcpfleet.artifact\"";

std::string LabelOf(const Image& image, const std::string& label) {
  const auto found = image.labels.find(label);
  return found == image.labels.end() ? "" : found->second;
}

HeldImage HeldOf(const Image& image) {
  return {.hold = image.name,
          .name = LabelOf(image, kLabelName),
          .digest = LabelOf(image, kLabelDigest),
          .bytes = std::strtoll(LabelOf(image, kLabelBytes).c_str(), nullptr, 10),
          .pulled = LabelOf(image, kLabelPulled) == "true",
          .since = image.created_at};
}

}  // namespace

Artifact UsableImage::ToArtifact() const {
  return {.digest = manifest.config.digest, .entrypoint = config.entrypoint, .default_args = config.cmd, .root = ""};
}

StatusOr<UsableImage> ImageStore::Read(const Image& image, Deadline deadline) const {
  const std::string& digest = image.target.digest;
  const auto usable = [&](const Parts& parts) {
    return UsableImage{.name = image.name, .target = image.target, .manifest = parts.manifest, .config = parts.config};
  };
  {
    MutexLock lock(&mu_);
    if (auto known = known_.find(digest); known != known_.end()) return usable(known->second);
  }
  ASSIGN_OR_RETURN(Parts parts, ReadParts(image, deadline));
  MutexLock lock(&mu_);
  if (known_.size() >= kKnownImages) known_.clear();
  return usable(known_[digest] = std::move(parts));
}

StatusOr<ImageStore::Parts> ImageStore::ReadParts(const Image& image, Deadline deadline) const {
  Parts usable;
  Descriptor manifest = image.target;
  // More levels than one are allowed, and nobody makes them.
  for (int level = 0; IsIndex(manifest.media_type) && level < 4; ++level) {
    ASSIGN_OR_RETURN(const std::string index, ReadContent(connection_, manifest.digest, kManifestBytes, deadline));
    ASSIGN_OR_RETURN(manifest, ManifestFor(index, MachineArchitecture()));
  }
  ASSIGN_OR_RETURN(const std::string text, ReadContent(connection_, manifest.digest, kManifestBytes, deadline));
  ASSIGN_OR_RETURN(usable.manifest, ParseManifest(text));
  ASSIGN_OR_RETURN(const std::string config,
                   ReadContent(connection_, usable.manifest.config.digest, kManifestBytes, deadline));
  ASSIGN_OR_RETURN(usable.config, ParseImageConfig(config));
  if (usable.config.diff_ids.size() != usable.manifest.layers.size())
    return InvalidArgument("image " + image.name + ": manifest and configuration name different numbers of layers");
  return usable;
}

StatusOr<std::optional<UsableImage>> ImageStore::Find(const std::string& ref, Deadline deadline) const {
  for (const std::string& name : {ref, WholeImageName(ref)}) {
    ASSIGN_OR_RETURN(const std::optional<Image> image, GetImage(connection_, name, deadline));
    if (!image) continue;
    StatusOr<UsableImage> usable = Read(*image, deadline);
    // A name without its content: somebody pulls it just now, or stopped in the middle.
    if (usable.status().code() == StatusCode::kNotFound) return std::optional<UsableImage>();
    RETURN_IF_ERROR(usable.status());
    return std::optional<UsableImage>(*std::move(usable));
  }
  return std::optional<UsableImage>();
}

StatusOr<UsableImage> ImageStore::FindHeld(const std::string& digest, Deadline deadline) const {
  ASSIGN_OR_RETURN(const std::optional<Image> image, GetImage(connection_, kHoldPrefix + digest, deadline));
  if (!image) return NotFound("image " + digest + " is not in containerd any more");
  return Read(*image, deadline);
}

Status ImageStore::UnpackLayer(const UsableImage& image, size_t layer, const std::string& lease,
                               Deadline deadline) const {
  const std::string name = ChainId(image.config.diff_ids, layer + 1);
  const std::string key = "mcpfleet-unpack-" + RandomHex(8) + " " + name;
  ASSIGN_OR_RETURN(const std::vector<Mount> mounts,
                   snapshots_.Prepare(key, ChainId(image.config.diff_ids, layer), {}, lease, deadline));
  Status status;
  const StatusOr<std::string> applied = ApplyLayer(connection_, image.manifest.layers[layer], mounts, lease, deadline);
  if (!applied.ok())
    status = applied.status();
  else if (*applied != image.config.diff_ids[layer])
    status = Unavailable("image " + image.name + ": layer " + image.manifest.layers[layer].digest +
                         " unpacks to another hash than its configuration says");
  // Somebody else may have made the same meanwhile.
  if (status.ok()) status = snapshots_.Commit(key, name, {}, lease, deadline);
  if (status.ok()) return status;
  snapshots_.Remove(key, Deadline::After(std::chrono::seconds(10))).IgnoreError();
  return status.code() == StatusCode::kAlreadyExists ? OkStatus() : status;
}

Status ImageStore::Unpack(const UsableImage& image, const std::string& lease,
                          const std::function<void(size_t, size_t)>& unpacked, Deadline deadline) const {
  const size_t layers = image.config.diff_ids.size();
  if (layers == 0) return OkStatus();
  ASSIGN_OR_RETURN(bool there, snapshots_.Exists(image.Chain(), deadline));
  if (there) return OkStatus();
  for (size_t layer = 0; layer < layers; ++layer) {
    if (unpacked) unpacked(layer, layers);
    ASSIGN_OR_RETURN(there, snapshots_.Exists(ChainId(image.config.diff_ids, layer + 1), deadline));
    if (!there) RETURN_IF_ERROR(UnpackLayer(image, layer, lease, deadline));
  }
  // So that containerd's collector keeps the snapshots as long as the image.
  return LabelContent(connection_, image.manifest.config.digest,
                      "containerd.io/gc.ref.snapshot." + snapshots_.snapshotter(), image.Chain(), deadline);
}

Status ImageStore::Hold(const UsableImage& image, bool pulled, Deadline deadline) const {
  const std::string& digest = image.manifest.config.digest;
  ASSIGN_OR_RETURN(const std::optional<Image> held, GetImage(connection_, kHoldPrefix + digest, deadline));
  if (held) return OkStatus();
  int64_t bytes = image.manifest.config.size;
  for (const Descriptor& layer : image.manifest.layers) bytes += layer.size;
  for (size_t layer = 1; layer <= image.config.diff_ids.size(); ++layer) {
    ASSIGN_OR_RETURN(const int64_t size, snapshots_.Bytes(ChainId(image.config.diff_ids, layer), deadline));
    bytes += size;
  }
  const Status status = CreateImage(connection_,
                                    {.name = kHoldPrefix + digest,
                                     .labels = {{kLabelDigest, digest},
                                                {kLabelName, image.name},
                                                {kLabelPulled, pulled ? "true" : "false"},
                                                {kLabelBytes, std::to_string(bytes)}},
                                     .target = image.target},
                                    deadline);
  return status.code() == StatusCode::kAlreadyExists ? OkStatus() : status;
}

StatusOr<int64_t> ImageStore::HeldBytes(Deadline deadline) const {
  ASSIGN_OR_RETURN(const std::vector<Image> images, ListImages(connection_, kHeldFilter, deadline));
  int64_t bytes = 0;
  for (const Image& image : images) {
    const HeldImage held = HeldOf(image);
    if (held.pulled) bytes += held.bytes;
  }
  return bytes;
}

Status ImageStore::Collect(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) const {
  ASSIGN_OR_RETURN(const std::vector<Image> images, ListImages(connection_, kHeldFilter, deadline));
  std::vector<HeldImage> held;
  held.reserve(images.size());
  for (const Image& image : images) held.push_back(HeldOf(image));
  for (const HeldImage& image : ImagesToLetGo(std::move(held), keep, quota_bytes)) {
    // The name goes only where it still is this image's.
    StatusOr<std::optional<UsableImage>> named = Find(image.name, deadline);
    RETURN_IF_ERROR(named.status());
    if (*named && (*named)->manifest.config.digest == image.digest)
      RETURN_IF_ERROR(DeleteImage(connection_, image.name, deadline));
    RETURN_IF_ERROR(DeleteImage(connection_, image.hold, deadline));
    LOG_INFO("image removed to stay under the quota", {{"image", image.name}, {"digest", image.digest}});
  }
  return OkStatus();
}

std::vector<HeldImage> ImagesToLetGo(std::vector<HeldImage> held, const std::vector<std::string>& keep,
                                     int64_t quota_bytes) {
  std::erase_if(held, [](const HeldImage& image) { return !image.pulled; });
  std::sort(held.begin(), held.end(), [](const HeldImage& a, const HeldImage& b) { return a.since < b.since; });
  int64_t used = 0;
  for (const HeldImage& image : held) used += image.bytes;
  std::vector<HeldImage> out;
  for (HeldImage& image : held) {
    if (used <= quota_bytes) break;
    if (std::find(keep.begin(), keep.end(), image.digest) != keep.end()) continue;
    used -= image.bytes;
    out.push_back(std::move(image));
  }
  return out;
}

}  // namespace mcpfleet::containerd
