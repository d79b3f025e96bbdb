// What of a server's record outlives mcplet: how often and why it ended, and where its back-off stands. As a text for
// the notebook, stable as long as nothing of it changes. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "controller/core/restart_policy.h"

namespace mcpfleet {

struct ServerMemory {
  std::string uid;  // another object of the same name begins at zero
  int64_t generation = 0;
  std::string revision;  // of the spec that `restart` is about
  RestartPolicy policy;  // that judged it: a store that was put back may give one generation to two of them
  RestartState restart;
  std::string accounted_exit;
  std::map<std::string, int64_t> oom_kills;
};

// "" when there is nothing to tell.
std::string EncodeMemory(const ServerMemory& memory);
// nullopt: no such text. A back-off goes on where it stood, but never waits longer than `most`, whatever the clocks
// did.
std::optional<ServerMemory> DecodeMemory(std::string_view text, Duration most, MonoTime now, WallTime wall);

}  // namespace mcpfleet
