#include "edge-runtime/gateway/tenants.h"

namespace mcpfleet::gateway {

Room Tenants::RoomFor(const std::string& instance, const std::string& subject, bool apart) const {
  const int count = children_.Count(instance);
  if (apart || count == 0) return Room::kFree;
  const auto it = subjects_.find(instance);
  if (it != subjects_.end() && it->second == subject) return Room::kFree;
  return children_.Ending(instance) == count ? Room::kSoon : Room::kTaken;
}

void Tenants::Enter(const std::string& instance, const std::string& subject) {
  std::erase_if(subjects_, [&](const auto& each) { return children_.Count(each.first) == 0; });
  const bool first = children_.Count(instance) == 0;
  auto [it, unknown] = subjects_.try_emplace(instance, first ? subject : "");
  if (!unknown && it->second != subject) it->second.clear();
}

bool Tenants::Keep(const std::string& instance, const std::string& subject, bool apart) {
  auto [it, first] = subjects_.try_emplace(instance, subject);
  if (first || it->second == subject) return true;
  if (apart) it->second.clear();
  return apart;
}

}  // namespace mcpfleet::gateway
