#include "edge-runtime/logship/spool.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "base/fd.h"
#include "base/strings.h"
#include "edge-runtime/logship/chunk_builder.h"

namespace mcpfleet::logship {
namespace {

template <typename Number>
bool ParseNumber(std::string_view text, Number* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsChunkName(std::string_view name) {
  return !name.empty() && name.size() <= 80 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") ==
             std::string_view::npos;
}

// A file that is gone already is as good.
void Unlink(const std::string& path) { unlink(path.c_str()); }

}  // namespace

std::string SpoolFileName(const ChunkInfo& chunk) {
  char order[24];
  snprintf(order, sizeof order, "%016" PRIu64, chunk.order);
  return std::string(order) + "_" + chunk.name + "_" + std::to_string(chunk.first) + "_" + std::to_string(chunk.last) +
         "_" + std::to_string(chunk.lines);
}

std::optional<ChunkInfo> ParseSpoolFileName(std::string_view name) {
  const std::vector<std::string> parts = Split(name, '_');
  ChunkInfo chunk;
  const bool ours = parts.size() == 5 && parts[0].size() >= 16 && ParseNumber(parts[0], &chunk.order) &&
                    IsChunkName(parts[1]) && ParseNumber(parts[2], &chunk.first) &&
                    ParseNumber(parts[3], &chunk.last) && ParseNumber(parts[4], &chunk.lines);
  if (!ours) return std::nullopt;
  chunk.name = parts[1];
  return chunk;
}

std::string Spool::PathOf(const ChunkInfo& chunk) const { return directory_ + "/" + SpoolFileName(chunk); }

StatusOr<std::unique_ptr<Spool>> Spool::Open(std::string directory, uint64_t counts) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  std::unique_ptr<Spool> spool(new Spool(std::move(directory)));
  DIR* listing = opendir(spool->directory_.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, spool->directory_);
  MutexLock lock(&spool->mu_);
  while (const dirent* entry = readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = spool->directory_ + "/" + std::string(name);
    std::optional<ChunkInfo> chunk = ParseSpoolFileName(name);
    struct stat st;
    if (!chunk || chunk->order > counts || stat(path.c_str(), &st) != 0) {
      Unlink(path);
      continue;
    }
    chunk->bytes = st.st_size;
    spool->bytes_ += st.st_size;
    spool->chunks_.push_back(*std::move(chunk));
  }
  closedir(listing);
  std::sort(spool->chunks_.begin(), spool->chunks_.end(),
            [](const ChunkInfo& a, const ChunkInfo& b) { return a.order < b.order; });
  return spool;
}

Status Spool::Write(const ChunkInfo& chunk, std::string_view bytes) {
  return WriteFileAtomically(PathOf(chunk), bytes, 0600);
}

void Spool::Discard(const ChunkInfo& chunk) { Unlink(PathOf(chunk)); }

void Spool::Offer(const ChunkInfo& chunk) {
  MutexLock lock(&mu_);
  bytes_ += chunk.bytes;
  chunks_.push_back(chunk);
}

std::optional<ChunkInfo> Spool::Hold() {
  MutexLock lock(&mu_);
  if (chunks_.empty()) return std::nullopt;
  held_ = true;
  return chunks_.front();
}

void Spool::Release(bool remove) {
  std::string path;
  {
    MutexLock lock(&mu_);
    if (!std::exchange(held_, false) || !remove) return;
    path = PathOf(chunks_.front());
    bytes_ -= chunks_.front().bytes;
    chunks_.pop_front();
  }
  Unlink(path);
}

StatusOr<std::string> Spool::Read(const ChunkInfo& chunk) const { return ReadFile(PathOf(chunk), kChunkBytes); }

std::vector<ChunkInfo> Spool::Shrink(int64_t quota) {
  std::vector<ChunkInfo> gone;
  {
    MutexLock lock(&mu_);
    // The one under way may be the store's already.
    const size_t keep = held_ ? 1 : 0;
    while (bytes_ > quota && chunks_.size() > keep) {
      auto oldest = chunks_.begin() + static_cast<ptrdiff_t>(keep);
      bytes_ -= oldest->bytes;
      gone.push_back(std::move(*oldest));
      chunks_.erase(oldest);
    }
  }
  for (const ChunkInfo& chunk : gone) Unlink(PathOf(chunk));
  return gone;
}

int64_t Spool::chunks() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(chunks_.size());
}

int64_t Spool::bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

std::optional<int64_t> Spool::oldest_line() const {
  MutexLock lock(&mu_);
  if (chunks_.empty()) return std::nullopt;
  return chunks_.front().first;
}

uint64_t Spool::greatest_order() const {
  MutexLock lock(&mu_);
  return chunks_.empty() ? 0 : chunks_.back().order;
}

}  // namespace mcpfleet::logship
