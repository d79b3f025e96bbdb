#include "store/remembered_blobs.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "store/snapshot.h"

namespace mcpfleet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostAtOnce = 16;
constexpr size_t kMostFiles = 512;
constexpr size_t kMostBytes = size_t{256} << 10;  // of one

class BlobFiles {
 public:
  explicit BlobFiles(std::string directory) : directory_(std::move(directory)) {}

  // Whether blobs of that key are kept.
  static bool Keeps(std::string_view key) {
    return (key.starts_with(kSnapshotPrefix) || key.starts_with(kShardPrefix)) && IsSha256Hex(HashOfBlobKey(key));
  }
  std::optional<std::string> Read(std::string_view key) const {
    if (!Keeps(key)) return std::nullopt;
    const std::string path = PathOf(key);
    StatusOr<std::string> bytes = ReadFile(path, kMostBytes);
    if (!bytes.ok()) return std::nullopt;
    if (Sha256Hex(*bytes) == HashOfBlobKey(key)) return *std::move(bytes);
    std::error_code ignored;
    fs::remove(path, ignored);
    return std::nullopt;
  }
  void Write(std::string_view key, std::string_view bytes) const {
    if (!Keeps(key) || bytes.size() > kMostBytes || Sha256Hex(bytes) != HashOfBlobKey(key)) return;
    const std::string path = PathOf(key);
    const auto open_file = [&] { return UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); };
    UniqueFd file = open_file();
    if (!file.valid() && errno == ENOENT && MakeDirectories(directory_, 0700).ok()) file = open_file();
    const Status written = file.valid() ? WriteAll(file.get(), bytes, Deadline::Never()) : ErrnoStatus(errno, path);
    if (!written.ok()) LOG_DEBUG("a blob is not remembered", {{"error", written}});
  }
  // The older half goes when there are too many.
  void Collect() const {
    std::error_code ignored;
    std::vector<fs::path> all;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory_, ignored)) all.push_back(entry.path());
    if (all.size() <= kMostFiles) return;
    std::vector<std::pair<fs::file_time_type, fs::path>> by_age;
    by_age.reserve(all.size());
    for (fs::path& path : all) by_age.emplace_back(fs::last_write_time(path, ignored), std::move(path));
    const auto kept = by_age.begin() + static_cast<long>(by_age.size() / 2);
    std::nth_element(by_age.begin(), kept, by_age.end());
    for (auto it = by_age.begin(); it != kept; ++it) fs::remove(it->second, ignored);
  }

 private:
  std::string PathOf(std::string_view key) const { return directory_ + "/" + std::string(HashOfBlobKey(key)); }

  const std::string directory_;
};

class RememberingKv final : public KvClient {
 public:
  RememberingKv(std::unique_ptr<KvClient> kv, std::string directory)
      : kv_(std::move(kv)), files_(std::move(directory)) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    if (std::optional<std::string> known = files_.Read(key)) return std::optional(KvValue{*std::move(known), ""});
    auto value = kv_->Get(key, deadline);
    if (value.ok() && value->has_value() && BlobFiles::Keeps(key)) Keep({{std::string(key), (*value)->value}});
    return value;
  }
  StatusOr<KvRead> GetUnless(std::string_view key, std::string_view etag, Deadline deadline) override {
    return kv_->GetUnless(key, etag, deadline);
  }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override {
    if (keys.size() > kMostAtOnce) return kv_->BulkGet(keys, deadline);
    std::map<std::string, std::string> known;
    std::vector<std::string> unknown;
    for (const std::string& key : keys) {
      if (std::optional<std::string> bytes = files_.Read(key)) {
        known[key] = *std::move(bytes);
      } else {
        unknown.push_back(key);
      }
    }
    if (unknown.empty()) return known;
    ASSIGN_OR_RETURN(auto found, kv_->BulkGet(unknown, deadline));
    Keep({found.begin(), found.end()});
    found.merge(known);
    return found;
  }
  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override {
    return kv_->List(prefix, cursor, limit, deadline);
  }
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) override {
    return kv_->Put(key, value, options, deadline);
  }
  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override {
    RETURN_IF_ERROR(kv_->BulkPut(pairs, deadline));
    KeepPairs(pairs);
    return OkStatus();
  }
  StatusOr<bool> Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                        Deadline deadline) override {
    StatusOr<bool> done = kv_->Commit(values, head, condition, deadline);
    if (done.ok() && *done) KeepPairs(values);
    return done;
  }
  Status Delete(std::string_view key, Deadline deadline) override { return kv_->Delete(key, deadline); }
  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    return kv_->BulkDelete(keys, deadline);
  }

 private:
  void KeepPairs(const std::vector<KvPair>& pairs) const {
    std::vector<std::pair<std::string, std::string>> blobs;
    for (const KvPair& pair : pairs) {
      if (BlobFiles::Keeps(pair.key)) blobs.emplace_back(pair.key, pair.value);
    }
    if (blobs.size() <= kMostAtOnce) Keep(blobs);
  }
  void Keep(const std::vector<std::pair<std::string, std::string>>& blobs) const {
    for (const auto& [key, bytes] : blobs) files_.Write(key, bytes);
    if (!blobs.empty()) files_.Collect();
  }

  const std::unique_ptr<KvClient> kv_;
  const BlobFiles files_;
};

}  // namespace

std::unique_ptr<KvClient> RememberBlobs(std::unique_ptr<KvClient> kv, std::string directory) {
  return std::make_unique<RememberingKv>(std::move(kv), std::move(directory));
}

}  // namespace mcpfleet
