// A program of this machine that says something and ends, outside of any sandbox: `cloudflared --version`.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

struct BriefRun {
  int code = 0;        // 128 + signal when a signal ended it
  std::string output;  // stdout and stderr, at most 64 KiB
};

// argv[0] is a path, or a name that is looked for in PATH. Nothing is on its stdin; its environment is `environment`.
// Killed at the deadline, which is DeadlineExceeded.
StatusOr<BriefRun> RunBriefly(const std::vector<std::string>& argv, Deadline deadline,
                              const std::vector<std::string>& environment = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                                                             "LANG=C.UTF-8"});

}  // namespace mcpfleet
