// Logs of one server to a client that may go away without a word.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http/server.h"
#include "edge-runtime/mcplet/admin.h"

namespace mcpfleet::admin {

// Blocks until the log ends, the client is gone or `stop` asks. A follow reads in short slices, because a runtime that
// waits for the next line can't see that nobody waits for it any more; lines at the seam are neither lost nor repeated.
void SendLogs(AdminBackend& backend, const Clock& clock, const ServerKey& server, LogOptions options,
              std::shared_ptr<http::Responder> to, const std::function<bool()>& stop);

// Drops the lines that an earlier slice has delivered already. Lines begin with their time and a space.
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

}  // namespace mcpfleet::admin
