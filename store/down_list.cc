#include "store/down_list.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "crd/labels.h"

namespace mcpfleet {
namespace {
constexpr int64_t kGreatestSequence = (int64_t{1} << 53) - 1;  // the greatest whole number that JSON holds everywhere
}

StatusOr<DownList> ParseDownList(const Json& json) {
  if (!json.is_object()) return InvalidArgument("down: not an object");
  const Json& sequence = GetMember(json, "sequence");
  const Json& nodes = GetMember(json, "nodes");
  if (!sequence.is_number_integer() || sequence < 0 || sequence > kGreatestSequence)
    return InvalidArgument("down: sequence is no number from 0 to 2^53");
  if (!nodes.is_array()) return InvalidArgument("down: nodes is no list");
  if (nodes.size() > kDownListNodes)
    return InvalidArgument("down: more than " + std::to_string(kDownListNodes) + " nodes");
  DownList list{.sequence = sequence.get<int64_t>(), .frozen = GetBool(json, "frozen")};
  list.nodes.reserve(nodes.size());
  for (const Json& node : nodes) {
    if (!node.is_string() || !CheckName(node.get_ref<const std::string&>()).empty())
      return InvalidArgument("down: an entry is no name of a node");
    list.nodes.push_back(node.get<std::string>());
  }
  return list;
}

bool DownNews::SetDown(const DownList& list) {
  if (fresh_ && list.sequence <= sequence_) return false;
  DownNodes nodes(list.nodes.begin(), list.nodes.end());
  const bool changed = !fresh_ || nodes != nodes_;
  fresh_ = true;
  sequence_ = list.sequence;
  nodes_ = std::move(nodes);
  return changed;
}

bool DownNews::SetConnected(bool connected) {
  const bool before = informed();
  connected_ = connected;
  if (!connected) fresh_ = false;
  return informed() != before;
}

}  // namespace mcpfleet
