// "<RFC 3339 time> <text>\n" as the runtimes give them → the lines of a chunk, NDJSON as the Worker takes it
// (docs/cloudflare-protocol.md). Made for floods: no allocation and no tree for each line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "crd/object.h"

namespace mcpfleet::logship {

// Of some lines: how many, and the times of the earliest and the latest, nanoseconds since 1970.
struct LineStats {
  int64_t lines = 0;
  int64_t first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();
  void Add(const LineStats& more);
};

// Reads the times of lines that follow each other. Not thread-safe: it remembers the second before.
class LineTimes {
 public:
  // The length of the time at the beginning of the line, 0 when there is none; its value in `*nanoseconds`.
  size_t Read(std::string_view line, int64_t* nanoseconds);

 private:
  char known_[20] = {};  // "2026-11-28T07:00:00"
  int64_t seconds_ = 0;
};

// Room for formatted text that grows and is used again, without being cleared.
class TextRoom {
 public:
  // A place for `more` bytes behind the `used` ones, which keep their content.
  char* Reserve(size_t used, size_t more);
  char* begin() { return bytes_.get(); }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
};

class LineFormatter {
 public:
  explicit LineFormatter(const ServerKey& server);
  // Whole lines. Valid until `room` is used again. A line without a time gets that of the line before it, the first
  // one `fallback`. Text that is not UTF-8 has U+FFFD where it isn't.
  std::string_view Format(std::string_view lines, WallTime fallback, TextRoom* room, LineStats* stats);

 private:
  std::string middle_;  // from behind the time to the text
  LineTimes times_;
  std::string last_time_;
  int64_t last_nanoseconds_ = 0;
};

}  // namespace mcpfleet::logship
