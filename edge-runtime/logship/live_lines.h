// Lines for people who look now, beside the chunks: of the servers that are followed, as they are read, no more than
// the store takes (docs/cloudflare-protocol.md, "Push"). What does not fit is left out here and said so; the chunks
// have it.
//
// SetFollowed from any thread; Take from one.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "crd/object.h"
#include "edge-runtime/logship/ship_rules.h"

namespace mcpfleet::logship {

struct LiveLine {
  std::string time, text;
};

// Hands lines of one server on, at most kLiveLines. False: not taken, there is no connection or it is full.
using LiveSink = std::function<bool(const ServerKey& server, const std::vector<LiveLine>& lines)>;

inline constexpr size_t kLiveLines = 1000;
inline constexpr double kLiveBytesPerSecond = 192 * 1024;  // the protocol's 256 KiB, with room for its JSON

// What somebody who learns who is followed tells: the integration's side of live logs.
class LogFollowing {
 public:
  virtual ~LogFollowing() = default;
  // Replaces what is followed; none: nobody looks any more. From any thread; never blocks.
  virtual void SetFollowed(std::vector<ServerKey> servers) = 0;
};

class LiveLines final : public LogFollowing {
 public:
  explicit LiveLines(LiveSink sink) : sink_(std::move(sink)), throttle_(kLiveBytesPerSecond, kLiveBytesPerSecond) {}
  void SetFollowed(std::vector<ServerKey> servers) override LOCKS_EXCLUDED(mu_);
  bool any() const { return any_.load(); }

  // What was read of a server: whole lines "<time> <text>\n".
  void Take(const ServerKey& server, std::string_view lines, MonoTime now) LOCKS_EXCLUDED(mu_);

 private:
  bool IsFollowed(const ServerKey& server) const LOCKS_EXCLUDED(mu_);
  bool Send(const ServerKey& server, std::vector<LiveLine> lines, size_t bytes, MonoTime now);

  const LiveSink sink_;
  std::atomic<bool> any_{false};
  mutable Mutex mu_;
  std::set<ServerKey> followed_ GUARDED_BY(mu_);
  Throttle throttle_;                      // the reading thread's
  std::map<ServerKey, int64_t> left_out_;  // the reading thread's
};

}  // namespace mcpfleet::logship
