// Who may do what only one node is to do: whoever holds a Lease of coordination.k8s.io. The rules are those of
// client-go's leader election: a lease is judged by how long this node has seen it unchanged, on its own monotonic
// clock; the times in it are for people. A holder that could not renew for two thirds of its length has lost it, before
// another may take it. Pure; elector.h does the requests.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::kube {

enum class LeaseAction { kNone, kCreate, kUpdate };

class LeaseRules {
 public:
  LeaseRules(std::string identity, Duration length) : identity_(std::move(identity)), length_(length) {}

  // The lease as it was read; null: there is none.
  void Observe(const Json& lease, MonoTime now);
  // What to write: to create it, to renew or take it, or nothing because another holds it.
  LeaseAction Decide(MonoTime now) const;
  // The object to write for that: with the version that was read, so that of two who take it one fails.
  Json Body(const std::string& name, const std::string& namespace_, MonoTime now, WallTime wall) const;
  // A write went through, as `lease` says.
  void Won(const Json& lease, MonoTime now);
  bool Held(MonoTime now) const { return won_ && now < renewed_at_ + length_ * 2 / 3; }
  const std::string& holder() const { return holder_; }

 private:
  const std::string identity_;
  const Duration length_;
  Json lease_;
  std::string holder_, seen_;  // seen_: version that was seen last
  MonoTime seen_at_{}, renewed_at_{};
  bool won_ = false;
};

// metav1.MicroTime.
std::string FormatMicroTime(WallTime time);
StatusOr<WallTime> ParseMicroTime(std::string_view text);  // the fraction is cut off

}  // namespace mcpfleet::kube
