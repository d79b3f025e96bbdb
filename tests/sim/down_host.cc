#include "tests/sim/down_host.h"

namespace mcpfleet {

bool DownHost::Sweep(const std::map<std::string, MonoTime>& last, MonoTime now) {
  const DownNodes was_down = Down();
  const auto silent = [&](MonoTime seen) { return now - seen >= kDownAfter; };
  const bool away = swept_at_ && now - *swept_at_ > kDownAfter + kSweep;
  std::set<std::string> newly_silent, down;
  size_t up = 0;
  for (const auto& [node, seen] : last) {
    if (was_down.contains(node)) continue;
    ++up;
    if (!away && silent(seen)) newly_silent.insert(node);
  }
  const bool frozen = newly_silent.size() > 1 && newly_silent.size() * 3 > up;
  if (!frozen) down = newly_silent;
  std::map<std::string, MonoTime> steady;
  for (const auto& [node, seen] : last) {
    if (!was_down.contains(node)) continue;
    if (!silent(seen)) steady[node] = steady_.contains(node) ? steady_[node] : now;
    if (frozen || !steady.contains(node) || now - steady[node] < kUpAfter) {
      down.insert(node);
    } else {
      steady.erase(node);
    }
  }
  steady_ = std::move(steady);
  swept_at_ = now;
  std::vector<std::string> nodes(down.begin(), down.end());
  if (frozen == list_.frozen && nodes == list_.nodes) return false;
  list_ = {.sequence = list_.sequence + 1, .nodes = std::move(nodes), .frozen = frozen};
  return true;
}

}  // namespace mcpfleet
