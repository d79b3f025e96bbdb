#include "edge-runtime/dashboard/lookout.h"

#include <set>
#include <utility>

namespace mcpfleet::dashboard {

std::vector<Notice> Lookout::Look(const std::vector<SeenNode>& nodes, WallTime now) {
  if (!std::exchange(begun_, true)) chronicle_.Begin(boot_, now);
  std::set<std::string> seen;
  const auto note = [&](const std::string& subject, std::optional<bool> up) {
    seen.insert(subject);
    chronicle_.Note(subject, up, now);
  };
  for (const auto& [node, here] : nodes) {
    note("node/" + node.node, here);
    for (const ServerStatus& server : node.servers)
      note(ServerSubject(node.node, server.key), here ? IsUp(server) : std::nullopt);
  }
  for (const std::string& subject : chronicle_.Known()) {
    if (!seen.contains(subject)) chronicle_.Note(subject, std::nullopt, now);  // it is not placed here any more
  }
  std::vector<Notice> notices =
      chronicle_.Update(EvaluateAlerts(nodes, chronicle_.DownSince(), chronicle_.Raised(), ToMillis(now)), now);
  chronicle_.Alive(now);
  return notices;
}

}  // namespace mcpfleet::dashboard
