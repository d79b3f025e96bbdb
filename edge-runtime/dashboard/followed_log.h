// The log of a server that somebody follows: what is new in it since the last look, also when its instance started
// again or is another by now. It is read on from where the last look ended (controller/ports/log_tail.h), so a look
// costs what is new.
//
// Of a flood the newest lines are shown, with a line before them that says how many are left out: a server's last words
// are what one follows it for.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "controller/ports/log_tail.h"
#include "crd/object.h"
#include "edge-runtime/dashboard/host.h"

namespace mcpfleet::dashboard {

struct LiveLine {
  std::string time, text;
};

// Of one look, as JSON: what the Worker passes on of a node in a second.
inline constexpr size_t kLiveBytes = size_t{256} << 10;

// The newest of the lines that come. Pure.
class NewestLines {
 public:
  // Older ones make way; the newest stays however long it is.
  void Add(LiveLine line);
  // Lines that nobody was shown; `at_least`: and more, uncounted.
  void LeaveOut(int64_t lines, bool at_least = false);
  // "" while there is none.
  std::string_view newest_time() const { return lines_.empty() ? "" : std::string_view(lines_.back().time); }
  // All that there are now, and no more of them: the next ones follow. What was left out is told with the next line.
  std::vector<LiveLine> Take();

 private:
  std::deque<LiveLine> lines_;
  size_t bytes_ = 0;
  int64_t left_out_ = 0;
  bool at_least_ = false;
};

// Not thread-safe. Blocks where an engine does.
class FollowedLog {
 public:
  // From `since` on. `host` outlives it.
  FollowedLog(const Host& host, ServerKey server, WallTime since)
      : host_(host), server_(std::move(server)), since_(since) {}
  std::vector<LiveLine> Look(Deadline deadline);
  // So many of the last look's lines did not get to anybody.
  void NotShown(int64_t lines) { lines_.LeaveOut(lines); }

 private:
  bool Open(const InstanceReport& instance, Deadline deadline);
  // False: there is more than one look reads.
  bool ReadOn(Deadline deadline);

  const Host& host_;
  const ServerKey server_;
  WallTime since_;
  std::string instance_;  // that `tail_` reads; "": none yet
  std::unique_ptr<LogTail> tail_;
  NewestLines lines_;
};

}  // namespace mcpfleet::dashboard
