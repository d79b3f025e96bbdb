#include "store/local_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/limits.h"

namespace mcpfleet {
namespace {

constexpr size_t kStateBytes = size_t{64} << 20;
constexpr size_t kBlobBytes = limits::kShardBytes;  // the largest kind
// Blobs out of use that stay for a store that goes back: each costs a block, an inode and its name in memory.
constexpr size_t kSpareBlobs = 4096;
// Files that are flushed one by one. Beyond, the whole filesystem is: what others have written waits for the disk, too.
constexpr size_t kFewFiles = 32;

// Names of regular files in `directory`.
std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> names;
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return names;
  while (dirent* entry = readdir(dir)) {
    if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) names.emplace_back(entry->d_name);
  }
  closedir(dir);
  return names;
}

}  // namespace

LocalCache::LocalCache(std::string directory, int64_t quota_bytes)
    : directory_(std::move(directory)), quota_bytes_(quota_bytes) {}

std::string LocalCache::PathOf(std::string_view hash) const { return directory_ + "/blobs/" + std::string(hash); }

StatusOr<std::unique_ptr<LocalCache>> LocalCache::Open(const std::string& directory, int64_t quota_bytes) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  RETURN_IF_ERROR(MakeDirectories(directory + "/blobs", 0700));
  std::unique_ptr<LocalCache> cache(new LocalCache(directory, quota_bytes));
  MutexLock lock(&cache->mu_);
  for (const std::string& name : FilesIn(directory + "/blobs")) {
    std::string path = cache->PathOf(name);
    struct stat info {};
    if (!IsSha256Hex(name)) {
      if (name.find(".tmp") != std::string::npos) unlink(path.c_str());  // of a process that was killed
    } else if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      cache->sizes_[name] = info.st_size;
      cache->bytes_ += info.st_size;
    }
  }
  return cache;
}

bool LocalCache::Has(std::string_view hash) const {
  MutexLock lock(&mu_);
  return sizes_.find(hash) != sizes_.end();
}

std::optional<std::string> LocalCache::Get(std::string_view hash) const {
  if (!IsSha256Hex(hash) || !Has(hash)) return std::nullopt;
  StatusOr<std::string> bytes = ReadFile(PathOf(hash), kBlobBytes);
  if (bytes.ok() && Sha256Hex(*bytes) == hash) return *std::move(bytes);
  // Torn or gone: forget it, so that it is written anew. The file goes, for Put must not take it for good.
  unlink(PathOf(hash).c_str());
  MutexLock lock(&mu_);
  if (auto it = sizes_.find(hash); it != sizes_.end()) {
    bytes_ -= it->second;
    sizes_.erase(it);
  }
  return std::nullopt;
}

// Not flushed here: SaveState does that once for all, before it names them.
Status LocalCache::WriteBlob(const CacheBlob& blob) {
  std::string path = PathOf(blob.hash);
  std::string temporary = path + ".tmp." + std::to_string(getpid());
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, temporary);
  Status written = WriteAll(fd.get(), blob.bytes, Deadline::Never());
  if (written.ok() && rename(temporary.c_str(), path.c_str()) != 0) written = ErrnoStatus(errno, path);
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  many_unflushed_ |= unflushed_.size() == kFewFiles;
  if (!many_unflushed_) unflushed_.push_back(std::move(fd));
  return OkStatus();
}

Status LocalCache::FlushBlobs() {
  if (unflushed_.empty() && !many_unflushed_) return OkStatus();
  const std::string path = directory_ + "/blobs";
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoStatus(errno, path);
  if (many_unflushed_) {
    if (syncfs(directory.get()) != 0) return ErrnoStatus(errno, path);
  } else {
    // Under way together, so that the first wait is the only long one.
    for (const UniqueFd& fd : unflushed_) sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    for (const UniqueFd& fd : unflushed_) {
      if (fsync(fd.get()) != 0) return ErrnoStatus(errno, path);
    }
    if (fsync(directory.get()) != 0) return ErrnoStatus(errno, path);
  }
  unflushed_.clear();
  many_unflushed_ = false;
  return OkStatus();
}

Status LocalCache::Put(const std::vector<CacheBlob>& blobs) {
  MutexLock lock(&mu_);
  for (const CacheBlob& blob : blobs) {
    if (sizes_.find(blob.hash) != sizes_.end()) continue;
    if (Sha256Hex(blob.bytes) != blob.hash) return InvalidArgument("cache: a blob has another hash");
    int64_t size = static_cast<int64_t>(blob.bytes.size());
    if (bytes_ + size > quota_bytes_) {
      return ResourceExhausted("cache " + directory_ + ": the quota of " + std::to_string(quota_bytes_) +
                               " bytes is used up");
    }
    if (Status written = WriteBlob(blob); !written.ok()) return Annotate(written, "cache");
    sizes_[blob.hash] = size;
    bytes_ += size;
  }
  return OkStatus();
}

std::optional<std::string> LocalCache::LoadState() const {
  // The first line is the hash of the rest.
  StatusOr<std::string> file = ReadFile(directory_ + "/state", kStateBytes);
  if (!file.ok() || file->size() < 65 || (*file)[64] != '\n') return std::nullopt;
  std::string state = file->substr(65);
  if (Sha256Hex(state) != std::string_view(*file).substr(0, 64)) return std::nullopt;
  return state;
}

Status LocalCache::SaveState(std::string_view state) {
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(FlushBlobs());
  std::string content = Sha256Hex(state) + "\n";
  content.append(state);
  return WriteFileAtomically(directory_ + "/state", content, 0600);
}

Status LocalCache::Collect(const std::set<std::string>& keep) {
  MutexLock lock(&mu_);
  int64_t target = quota_bytes_ / 2;
  const size_t most = keep.size() + kSpareBlobs;
  if (bytes_ <= target && sizes_.size() <= most) return OkStatus();
  const size_t few = sizes_.size() <= most ? most : most - kSpareBlobs / 2;  // not one at a time: all are looked at
  std::vector<std::tuple<int64_t, std::string, int64_t>> old;                // written at, name, size
  for (const auto& [hash, size] : sizes_) {
    struct stat info {};
    if (keep.contains(hash)) continue;
    int64_t written =
        stat(PathOf(hash).c_str(), &info) == 0 ? info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec : 0;
    old.emplace_back(written, hash, size);
  }
  std::sort(old.begin(), old.end());
  for (const auto& [written, hash, size] : old) {
    if (bytes_ <= target && sizes_.size() <= few) break;
    if (unlink(PathOf(hash).c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, PathOf(hash));
    sizes_.erase(hash);
    bytes_ -= size;
  }
  return OkStatus();
}

int64_t LocalCache::bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace mcpfleet
