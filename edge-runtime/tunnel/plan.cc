#include "edge-runtime/tunnel/plan.h"

#include <algorithm>

namespace mcpfleet::tunnel {
namespace {

constexpr Duration kFirstDelay = std::chrono::seconds(1), kLastDelay = std::chrono::minutes(5);
constexpr Duration kHealthy = std::chrono::seconds(60);
constexpr int kDoublings = 10;  // one more than it takes to kLastDelay

}  // namespace

std::vector<Action> PlanConnectors(const PlanInput& input) {
  using Kind = Action::Kind;
  bool wanted_runs = false, wanted_ready = false;
  for (const ConnectorView& view : input.connectors) {
    if (view.id != input.wanted) continue;
    // One that was asked to end by a configuration in between ends; then it starts anew.
    wanted_runs = view.running;
    wanted_ready = view.running && view.ready && !view.asked_to_end;
  }
  std::vector<Action> actions;
  for (const ConnectorView& view : input.connectors) {
    if (view.asked_to_end && view.running) {
      if (input.now - *view.asked_to_end >= kGrace) actions.push_back({Kind::kRemove, view.id});
      continue;
    }
    if (view.id == input.wanted) continue;
    if (!view.running) {
      actions.push_back({Kind::kRemove, view.id});
    } else if (input.wanted.empty() || wanted_ready) {
      actions.push_back({Kind::kTerminate, view.id});
    }
  }
  if (!input.wanted.empty() && !wanted_runs && input.now >= input.next_start)
    actions.push_back({Kind::kStart, input.wanted});
  return actions;
}

void Restarts::Ended(MonoTime now) {
  ++count_;
  // What was found running when this mcplet came has lived.
  const bool healthy = !started_ || now - *started_ >= kHealthy;
  in_a_row_ = healthy ? 0 : std::min(in_a_row_ + 1, kDoublings);
  next_ = healthy ? now : now + std::min<Duration>(kFirstDelay * (1 << (in_a_row_ - 1)), kLastDelay);
}

}  // namespace mcpfleet::tunnel
