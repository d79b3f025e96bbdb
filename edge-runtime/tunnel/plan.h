// What is to happen to a node's connectors. Pure.
//
// There is one for the configuration that is wanted. cloudflared reads its configuration once, so another one takes
// another connector: it starts beside the old one, and only when it is connected the old one is asked to end, which
// lets it finish what is under way. A configuration with which cloudflared does not come up leaves the old one serving.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mcpfleet::tunnel {

// How long a connector that was asked to end may take. It is told a little less (--grace-period).
inline constexpr Duration kGrace = std::chrono::seconds(30);
inline constexpr Duration kToldGrace = std::chrono::seconds(25);

struct ConnectorView {
  std::string id;
  bool running = false;
  bool ready = false;
  std::optional<MonoTime> asked_to_end;
};

struct PlanInput {
  std::string wanted;  // id; "": none
  std::vector<ConnectorView> connectors;
  MonoTime now{};
  MonoTime next_start{};  // not before
};

struct Action {
  enum class Kind { kStart, kTerminate, kRemove };
  Kind kind;
  std::string id;

  bool operator==(const Action&) const = default;
};

std::vector<Action> PlanConnectors(const PlanInput& input);

// When one that ended is started again: at once after a minute of life, else 1 s, doubling up to 5 min.
class Restarts {
 public:
  void Started(MonoTime now) { started_ = now; }
  void Ended(MonoTime now);
  MonoTime next() const { return next_; }
  int64_t count() const { return count_; }
  // Another configuration may come up where the last one did not.
  void Forgive() {
    next_ = MonoTime{};
    in_a_row_ = 0;
  }

 private:
  std::optional<MonoTime> started_;  // nullopt: it was found running
  MonoTime next_{};
  int in_a_row_ = 0;
  int64_t count_ = 0;
};

}  // namespace mcpfleet::tunnel
