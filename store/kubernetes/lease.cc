#include "store/kubernetes/lease.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace mcpfleet::kube {

std::string FormatMicroTime(WallTime time) {
  const int64_t micros = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
  char fraction[16];
  snprintf(fraction, sizeof fraction, ".%06dZ", static_cast<int>((micros % 1'000'000 + 1'000'000) % 1'000'000));
  std::string text = FormatTime(time);
  text.pop_back();
  return text + fraction;
}

StatusOr<WallTime> ParseMicroTime(std::string_view text) {
  const size_t point = text.find('.');
  if (point == std::string_view::npos || !text.ends_with('Z')) return ParseTime(text);
  return ParseTime(std::string(text.substr(0, point)) + "Z");
}

void LeaseRules::Observe(const Json& lease, MonoTime now) {
  const std::string version = GetString(GetMember(lease, "metadata"), "resourceVersion");
  if (lease.is_null() || version != seen_) seen_at_ = now;
  seen_ = version;
  lease_ = lease;
  holder_ = GetString(GetMember(lease, "spec"), "holderIdentity");
  if (holder_ != identity_) won_ = false;
}

LeaseAction LeaseRules::Decide(MonoTime now) const {
  if (lease_.is_null()) return LeaseAction::kCreate;
  if (holder_.empty() || holder_ == identity_) return LeaseAction::kUpdate;
  const int64_t seconds = GetInt(GetMember(lease_, "spec"), "leaseDurationSeconds");
  const Duration length = seconds > 0 && seconds < 3600 ? Duration(std::chrono::seconds(seconds)) : length_;
  return now >= seen_at_ + length ? LeaseAction::kUpdate : LeaseAction::kNone;
}

Json LeaseRules::Body(const std::string& name, const std::string& namespace_, MonoTime /*now*/, WallTime wall) const {
  const Json& spec = GetMember(lease_, "spec");
  const bool mine = holder_ == identity_;
  const std::string time = FormatMicroTime(wall);
  Json body = {{"apiVersion", "coordination.k8s.io/v1"},
               {"kind", "Lease"},
               {"metadata", {{"name", name}, {"namespace", namespace_}}},
               {"spec",
                {{"holderIdentity", identity_},
                 {"leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(length_).count()},
                 {"acquireTime", mine ? GetString(spec, "acquireTime", time) : time},
                 {"renewTime", time},
                 {"leaseTransitions", GetInt(spec, "leaseTransitions") + (mine || lease_.is_null() ? 0 : 1)}}}};
  if (!seen_.empty()) body["metadata"]["resourceVersion"] = seen_;
  return body;
}

void LeaseRules::Won(const Json& lease, MonoTime now) {
  Observe(lease, now);
  won_ = holder_ == identity_;
  renewed_at_ = now;
}

}  // namespace mcpfleet::kube
