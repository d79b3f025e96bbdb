#include "controller/placement/place.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "crd/codec.h"

namespace mcpfleet {
namespace {

bool IsCount(const Json& replicas) {
  return replicas.is_number_integer() && replicas >= 1 && replicas <= kMostReplicas;
}

// A placement taken apart once, for many nodes. Must not outlive the JSON.
class Matcher {
 public:
  explicit Matcher(const Json& placement) : known_(placement.is_null() || placement.is_object()) {
    if (!placement.is_object()) return;
    for (const auto& [field, value] : placement.items()) {
      if (field == "nodes" && value.is_array()) {
        for (const Json& name : value) known_ = known_ && Take(name, &names_);
      } else if (field == "nodeSelector" && value.is_object()) {
        for (auto label = value.begin(); label != value.end(); ++label) {
          keys_.push_back(&label.key());
          known_ = known_ && Take(*label, &values_);
        }
      } else {
        known_ = known_ && field == "replicas" && IsCount(value);
      }
    }
  }

  bool Matches(std::string_view node, const Labels& labels) const {
    if (!known_) return false;
    // An empty list names nobody in particular, as an empty selector selects everybody.
    const auto named = [&](const std::string* name) { return *name == node; };
    if (!names_.empty() && std::none_of(names_.begin(), names_.end(), named)) return false;
    for (size_t i = 0; i < keys_.size(); ++i) {
      auto label = labels.find(*keys_[i]);
      if (label == labels.end() || label->second != *values_[i]) return false;
    }
    return true;
  }
  bool Matches(const PlacementNode& node) const { return Matches(node.name, node.labels); }

 private:
  static bool Take(const Json& text, std::vector<const std::string*>* out) {
    if (!text.is_string()) return false;
    out->push_back(text.get_ptr<const std::string*>());
    return true;
  }

  bool known_;
  std::vector<const std::string*> names_, keys_, values_;
};

// Every node must compute the same in every version and on every machine: this is part of the protocol. The first eight
// bytes of the digest, little-endian.
uint64_t HashOfName(std::string_view name) {
  const std::string digest = Sha256Bytes(name);
  uint64_t hash = 0;
  for (size_t i = 8; i-- > 0;) hash = (hash << 8) | static_cast<unsigned char>(digest[i]);
  return hash;
}

// The finalizer of splitmix64: each bit of the input moves each of the output.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

uint64_t HashOfServer(const ObjectKey& server) { return HashOfName(server.namespace_ + "/" + server.name); }
uint64_t Score(uint64_t server, uint64_t node) { return Mix(Mix(server) + node); }

}  // namespace

bool Place(const Json& placement, std::string_view node, const Labels& node_labels, bool unschedulable) {
  if (unschedulable) return false;
  return Matcher(placement).Matches(node, node_labels);
}

std::optional<int64_t> ReplicasOf(const Json& placement) {
  const Json& replicas = GetMember(placement, "replicas");
  if (!IsCount(replicas)) return std::nullopt;
  return replicas.get<int64_t>();
}

PlacementNode PlacementNodeOf(const Object& node) {
  return {.name = node.metadata.name,
          .labels = node.metadata.labels,
          .unschedulable = IsUnschedulable(node),
          .drained = IsDrained(node)};
}

PlacementNodes::PlacementNodes(std::vector<PlacementNode> nodes) : nodes_(std::move(nodes)) {
  std::stable_sort(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  nodes_.erase(std::unique(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) { return a.name == b.name; }),
               nodes_.end());
  hashes_.reserve(nodes_.size());
  for (const PlacementNode& node : nodes_) hashes_.push_back(HashOfName(node.name));
}

const PlacementNode* PlacementNodes::Find(std::string_view name) const {
  auto found = std::lower_bound(nodes_.begin(), nodes_.end(), name,
                                [](const PlacementNode& node, std::string_view wanted) { return node.name < wanted; });
  return found == nodes_.end() || found->name != name ? nullptr : &*found;
}

std::vector<std::string> PlacementNodes::Place(const ObjectKey& server, const Json& placement,
                                               const DownNodes& down) const {
  const std::optional<int64_t> replicas = ReplicasOf(placement);
  const uint64_t hash = HashOfServer(server);
  const Matcher matcher(placement);
  std::vector<std::pair<uint64_t, const PlacementNode*>> fit;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const PlacementNode& node = nodes_[i];
    if (node.unschedulable || node.drained || !matcher.Matches(node)) continue;
    if (replicas && down.contains(node.name)) continue;
    fit.emplace_back(Score(hash, hashes_[i]), &node);
  }
  // Equal scores stay in the order of names.
  if (replicas)
    std::stable_sort(fit.begin(), fit.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (replicas && fit.size() > static_cast<size_t>(*replicas)) fit.resize(static_cast<size_t>(*replicas));
  std::vector<std::string> names;
  names.reserve(fit.size());
  for (const auto& [score, node] : fit) names.push_back(node->name);
  return names;
}

bool PlacementNodes::WouldPlace(const ObjectKey& server, const Json& placement, const DownNodes& down,
                                std::string_view node) const {
  const PlacementNode* self = Find(node);
  const Matcher matcher(placement);
  if (self == nullptr || self->drained || !matcher.Matches(*self)) return false;
  const std::optional<int64_t> replicas = ReplicasOf(placement);
  if (!replicas) return true;
  // It is, unless so many stand before it: no need to know their order, and mostly the first few tell.
  const uint64_t hash = HashOfServer(server);
  const auto at = static_cast<size_t>(self - nodes_.data());
  const uint64_t own = Score(hash, hashes_[at]);
  int64_t before = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (i == at) continue;
    const uint64_t score = Score(hash, hashes_[i]);
    if (score < own || (score == own && i > at)) continue;
    const PlacementNode& other = nodes_[i];
    if (other.unschedulable || other.drained || down.contains(other.name) || !matcher.Matches(other)) continue;
    if (++before == *replicas) return false;
  }
  return true;
}

}  // namespace mcpfleet
