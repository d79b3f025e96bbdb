// Chunks that wait for the store, a file each, sealed: written once, synced, and given out byte for byte. The order in
// which they were made is in their names, so the directory is all there is to know of them after a crash:
//
//   <order, 16 digits>_<bootId>-<seq>_<first line's time>_<last line's time>_<lines>
//
// Writing and offering are two steps. Between them the writer notes durably that the chunk counts (cursor.h); one that
// does not count was never offered to anybody, and goes when the spool is opened: its lines are read again.
//
// Thread-safe; Write and Offer from one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace mcpfleet::logship {

struct ChunkInfo {
  uint64_t order = 0;
  std::string name;             // <bootId>-<seq>: under that it is uploaded
  int64_t first = 0, last = 0;  // nanoseconds since 1970
  int64_t lines = 0;
  int64_t bytes = 0;
};

// The file's name, and back; nullopt for what is none of ours.
std::string SpoolFileName(const ChunkInfo& chunk);
std::optional<ChunkInfo> ParseSpoolFileName(std::string_view name);

class Spool {
 public:
  // Removes what is unfinished, and chunks above `counts`.
  static StatusOr<std::unique_ptr<Spool>> Open(std::string directory, uint64_t counts);

  // Durable under its name when it returns OK. Not offered yet.
  Status Write(const ChunkInfo& chunk, std::string_view bytes);
  // Unwritten again.
  void Discard(const ChunkInfo& chunk);
  void Offer(const ChunkInfo& chunk) LOCKS_EXCLUDED(mu_);

  // The oldest, or none. It is not removed to make room until Release.
  std::optional<ChunkInfo> Hold() LOCKS_EXCLUDED(mu_);
  void Release(bool remove) LOCKS_EXCLUDED(mu_);
  StatusOr<std::string> Read(const ChunkInfo& chunk) const;
  // Removes the oldest until no more than `quota` bytes are left; which.
  std::vector<ChunkInfo> Shrink(int64_t quota) LOCKS_EXCLUDED(mu_);

  int64_t chunks() const LOCKS_EXCLUDED(mu_);
  int64_t bytes() const LOCKS_EXCLUDED(mu_);
  std::optional<int64_t> oldest_line() const LOCKS_EXCLUDED(mu_);  // nanoseconds since 1970
  uint64_t greatest_order() const LOCKS_EXCLUDED(mu_);             // 0: empty

 private:
  explicit Spool(std::string directory) : directory_(std::move(directory)) {}
  std::string PathOf(const ChunkInfo& chunk) const;

  const std::string directory_;
  mutable Mutex mu_;
  std::deque<ChunkInfo> chunks_ GUARDED_BY(mu_);  // oldest first
  int64_t bytes_ GUARDED_BY(mu_) = 0;
  bool held_ GUARDED_BY(mu_) = false;  // the first one is
};

}  // namespace mcpfleet::logship
