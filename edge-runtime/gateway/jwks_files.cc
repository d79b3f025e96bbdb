#include "edge-runtime/gateway/jwks_files.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "edge-runtime/gateway/jwt.h"

namespace mcpfleet::gateway {
namespace {

// Of issuers that manifests named at some time: old ones go.
constexpr size_t kMaxFiles = 128;

}  // namespace

JwksFiles::JwksFiles(std::string directory) : directory_(std::move(directory)) {}

JwksFiles::~JwksFiles() {
  if (thread_.joinable()) thread_.join();
}

std::string JwksFiles::PathOf(const std::string& uri) const { return directory_ + "/" + Sha256Hex(uri) + ".json"; }

std::optional<std::string> JwksFiles::Read(const std::string& uri) const {
  StatusOr<std::string> body = ReadFile(PathOf(uri), kMaxKeySetBytes);
  if (body.ok()) return *std::move(body);
  if (body.status().code() != StatusCode::kNotFound)
    LOG_WARNING("a key set on disk can't be read", {{"error", body.status()}});
  return std::nullopt;
}

void JwksFiles::Write(const std::string& uri, std::string body) {
  {
    MutexLock lock(&mu_);
    waiting_[PathOf(uri)] = std::move(body);
    if (running_) return;
    running_ = true;
  }
  if (thread_.joinable()) thread_.join();  // it has nothing left to do but to end
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    LOG_WARNING("a key set is not written to disk: no thread");
    MutexLock lock(&mu_);
    running_ = false;
  }
}

void JwksFiles::Run() {
  for (;;) {
    std::string path, body;
    {
      MutexLock lock(&mu_);
      if (waiting_.empty()) {
        running_ = false;
        return;
      }
      path = waiting_.begin()->first;
      body = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    }
    if (Status written = WriteNow(path, body); !written.ok())
      LOG_WARNING("a key set is not written to disk", {{"error", written}});
    RemoveOldest();
  }
}

Status JwksFiles::WriteNow(const std::string& path, const std::string& body) const {
  RETURN_IF_ERROR(MakeDirectories(directory_, 0700));
  return WriteFileAtomically(path, body, 0600);
}

void JwksFiles::RemoveOldest() const {
  namespace fs = std::filesystem;
  std::error_code error;
  size_t count = 0;
  fs::path oldest;
  fs::file_time_type oldest_time = fs::file_time_type::max();
  for (fs::directory_iterator it(directory_, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const fs::file_time_type time = it->last_write_time(ignored);
    ++count;
    if (ignored || time >= oldest_time) continue;
    oldest = it->path();
    oldest_time = time;
  }
  if (!error && count > kMaxFiles) fs::remove(oldest, error);
}

}  // namespace mcpfleet::gateway
