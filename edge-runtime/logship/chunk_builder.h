// Packs formatted lines into a chunk as the Worker takes it: NDJSON, zstd level 1, within the protocol's sizes.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "edge-runtime/logship/line_format.h"

struct ZSTD_CCtx_s;

namespace mcpfleet::logship {

// The protocol's limit of a chunk as it is sent.
inline constexpr size_t kChunkBytes = size_t{1} << 20;
// Half of what the protocol allows: whoever reads a chunk holds it unpacked.
inline constexpr size_t kUnpackedBytes = size_t{16} << 20;

class ChunkBuilder {
 public:
  ChunkBuilder();
  ~ChunkBuilder();

  // Whether so many more bytes fit, however badly they pack. An empty chunk fits at least 800 KiB.
  bool Fits(size_t bytes) const;
  // InvalidArgument when they don't fit.
  Status Add(std::string_view ndjson, const LineStats& stats);
  bool empty() const { return stats_.lines == 0; }
  const LineStats& stats() const { return stats_; }
  // The chunk's bytes; the next one begins.
  StatusOr<std::string> Seal();
  // Forgets what was added.
  void Reset();

 private:
  Status Compress(std::string_view bytes, bool end);

  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  const std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::string packed_;
  size_t unpacked_ = 0;
  LineStats stats_;
};

}  // namespace mcpfleet::logship
