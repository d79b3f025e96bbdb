#include "edge-runtime/docker/docker_images.h"

#include <algorithm>

#include "base/fd.h"
#include "base/json.h"

namespace mcpfleet {
namespace {

constexpr size_t kFileBytes = size_t{1} << 20;
constexpr size_t kImages = 2000;

bool Contains(const std::vector<std::string>& list, const std::string& entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

std::vector<PulledImage> Load(const std::string& path) {
  std::vector<PulledImage> images;
  if (path.empty()) return images;
  StatusOr<std::string> text = ReadFile(path, kFileBytes);
  if (!text.ok()) return images;
  StatusOr<Json> json = ParseJson(*text);
  if (!json.ok() || !json->is_array()) return images;
  for (const Json& entry : *json) {
    PulledImage image{GetString(entry, "id"), GetString(entry, "ref"), GetString(entry, "pulledAt")};
    if (!image.id.empty()) images.push_back(std::move(image));
  }
  return images;
}

}  // namespace

namespace {

int64_t SizeOf(const std::string& id, const std::vector<ListedImage>& present) {
  auto it = std::find_if(present.begin(), present.end(), [&](const ListedImage& image) { return image.id == id; });
  return it == present.end() ? int64_t{0} : it->size_bytes;
}

}  // namespace

int64_t ImageBytes(const std::vector<PulledImage>& ours, const std::vector<ListedImage>& present) {
  int64_t used = 0;
  for (const PulledImage& image : ours) used += SizeOf(image.id, present);
  return used;
}

std::vector<std::string> ImagesToRemove(const std::vector<PulledImage>& ours, const std::vector<ListedImage>& present,
                                        const std::vector<std::string>& keep, int64_t quota_bytes) {
  int64_t used = ImageBytes(ours, present);
  std::vector<std::string> remove;
  for (const PulledImage& image : ours) {
    if (used <= quota_bytes) break;
    const int64_t size = SizeOf(image.id, present);
    if (size == 0 || Contains(keep, image.id)) continue;
    remove.push_back(image.id);
    used -= size;
  }
  return remove;
}

PulledImages::PulledImages(std::string path) : path_(std::move(path)), images_(Load(path_)) {}

std::vector<PulledImage> PulledImages::List() const {
  MutexLock lock(&mu_);
  return images_;
}

Status PulledImages::Remember(PulledImage image) {
  MutexLock lock(&mu_);
  std::erase_if(images_, [&](const PulledImage& known) { return known.id == image.id; });
  images_.push_back(std::move(image));
  if (images_.size() > kImages) images_.erase(images_.begin());
  return Save();
}

Status PulledImages::Forget(const std::vector<std::string>& ids) {
  MutexLock lock(&mu_);
  if (std::erase_if(images_, [&](const PulledImage& image) { return Contains(ids, image.id); }) == 0) return OkStatus();
  return Save();
}

Status PulledImages::Save() {
  if (path_.empty()) return OkStatus();
  Json list = Json::array();
  for (const PulledImage& image : images_)
    list.push_back({{"id", image.id}, {"ref", image.ref}, {"pulledAt", image.pulled_at}});
  return WriteFileAtomically(path_, DumpJson(list));
}

}  // namespace mcpfleet
