// What of a server's record outlives mcplet: how often and why it ended, where its back-off stands, how far a roll-out
// is, and what it answered before it fell asleep. As a text for the notebook, stable as long as nothing of it changes.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "controller/core/plan.h"

namespace mcpfleet {

// Another revision than the wanted one: an instance runs it, or it may be gone back to.
struct NotedRevision {
  DesiredServer server;  // without key and labels
  RestartState restart;  // without the tail of stderr
};

struct NotedRollout {
  std::string revision;
  WallTime since{};
  bool old_was_good = false;
  std::string before;  // a revision of `others`, or ""
};

struct NotedUndone {
  std::string revision;
  int64_t generation = 0;
  std::string message, before;
};

struct ServerMemory {
  std::string uid;  // another object of the same name begins at zero
  int64_t generation = 0;
  std::string revision;  // of the spec that `restart` is about
  RestartPolicy policy;  // that judged it: a store that was put back may give one generation to two of them
  RestartState restart;
  std::map<std::string, std::string> accounted_exits;  // by instance
  std::map<std::string, int64_t> oom_kills;
  std::vector<NotedRevision> others;
  std::map<std::string, WallTime> drains;  // by instance: since when
  std::optional<NotedRollout> rollout;
  std::optional<NotedUndone> undone;
  SleepState sleep;  // only kAsleep is noted
};

// "" when there is nothing to tell. Specs that are too large for a notebook are left out.
std::string EncodeMemory(const ServerMemory& memory);
// nullopt: no such text. A back-off goes on where it stood, but never waits longer than `most`, whatever the clocks
// did.
std::optional<ServerMemory> DecodeMemory(std::string_view text, Duration most, MonoTime now, WallTime wall);

}  // namespace mcpfleet
