// The store's host as placement sees it: the list of nodes that are down, decided as the Worker decides it
// (cloud/worker/src/fleet/down.ts; the same times).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "store/down_list.h"

namespace mcpfleet {

class DownHost {
 public:
  static constexpr Duration kSweep = std::chrono::seconds(30);
  static constexpr Duration kDownAfter = std::chrono::seconds(90);
  static constexpr Duration kUpAfter = std::chrono::seconds(120);

  // `last`: each node's last sign of life. True: the list changed.
  bool Sweep(const std::map<std::string, MonoTime>& last, MonoTime now);
  const DownList& list() const { return list_; }
  DownNodes Down() const { return {list_.nodes.begin(), list_.nodes.end()}; }
  // It was replaced: sequences begin anew.
  void Forget() { *this = DownHost(); }

 private:
  DownList list_;
  std::map<std::string, MonoTime> steady_;
  std::optional<MonoTime> swept_at_;
};

}  // namespace mcpfleet
