// Reading on in a log that is asked for by whole seconds: drops the lines that an earlier slice has delivered already.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mcpfleet {

// Lines begin with their time and a space.
class SeamFilter {
 public:
  // Whether the line is new.
  bool Take(std::string_view line);
  // A new slice begins, at the time of the last line.
  void StartSlice() {
    at_seam_ = true;
    skip_ = seen_at_last_;
  }
  // Of the last line, whole seconds.
  std::optional<WallTime> last_time() const;

 private:
  bool at_seam_ = false;  // no new line yet in this slice; later ones count even when the clock went back
  std::string last_time_;
  int64_t seen_at_last_ = 0;  // lines that carried last_time_
  int64_t skip_ = 0;          // of them, still to be dropped in this slice
};

}  // namespace mcpfleet
