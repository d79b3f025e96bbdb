// Reads an instance's log forward from a place that can be written down: what ships logs needs, where people
// (ContainerRuntime::Logs) begin anew each time.
//
// A tail holds what it reads open, so that lines are still there after their file was rotated away or their instance
// removed. A tail is used by one thread at a time. Reading never waits for the server and never makes it wait.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

struct LogPiece {
  int64_t lines = 0;  // given out
  // Lines that went away before they were read: by rotation, or by damage. Where their number can't be told: 1.
  int64_t lost = 0;
  bool more = false;    // there is more now
  bool at_end = false;  // of what was written so far, for sure; a stream that is under way can't tell
};

class LogTail {
 public:
  virtual ~LogTail() = default;
  // Appends the next whole lines, "<RFC 3339 time> <text>\n" each, to `out`: about `max` bytes, no line twice. Nothing
  // where nothing is new. An error changes nothing: the next call goes on at the same line.
  virtual StatusOr<LogPiece> Read(std::string* out, size_t max, Deadline deadline) = 0;
  // Behind the last line that was given out. One line of printable text, for OpenTail.
  virtual std::string Place() const = 0;
};

struct TailFrom {
  std::string place;  // "": the oldest line there is, or that of `since`
  // Without a place: what was rotated away since the instance began counts as lost.
  bool from_birth = false;
  // Without a place: no line before this time. For who wants what comes next: of files that are there already only the
  // end is looked at, however large they are, and what lies before is not lost.
  std::optional<WallTime> since;
};

// A runtime whose logs can be read so. Thread-safe.
class LogTails {
 public:
  virtual ~LogTails() = default;
  // NotFound when there is no such instance. A place that means nothing here is taken for none.
  virtual StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from,
                                                      Deadline deadline) = 0;
};

}  // namespace mcpfleet
