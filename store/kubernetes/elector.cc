#include "store/kubernetes/elector.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "store/kubernetes/resource.h"

namespace mcpfleet::kube {
namespace {
constexpr char kNodeLease[] = "mcpfleet-node-";
}  // namespace

Elector::Elector(RestClient& rest, const Clock& clock, uint64_t seed, ElectorOptions options)
    : rest_(rest),
      clock_(clock),
      options_(std::move(options)),
      rng_(seed),
      rules_(options_.node, options_.length),
      collection_("/apis/coordination.k8s.io/v1/namespaces/" + PercentEncode(rest.namespace_()) + "/leases") {}

Duration Elector::Jittered(Duration about) {
  return Duration(std::uniform_int_distribution<int64_t>(about.count() * 3 / 4, about.count() * 5 / 4)(rng_));
}

Status Elector::Step() {
  const MonoTime now = clock_.Now();
  Status status = OkStatus();
  if (now >= lease_due_) {
    const bool held = Held();
    status = Contend();
    // A holder renews three times in its lease's length; another looks about once in it.
    lease_due_ = clock_.Now() + Jittered(Held() || !status.ok() ? options_.length / 4 : options_.length);
    if (Held() != held) {
      LOG_INFO(Held() ? "this node merges the statuses of all nodes" : "another node merges the statuses",
               {{"holder", rules_.holder()}});
    }
  }
  if (now >= life_due_) {
    const Status shown = ShowLife();
    if (status.ok()) status = shown;
    life_due_ = clock_.Now() + Jittered(shown.ok() ? options_.life_interval : options_.life_interval / 6);
  }
  if (Held() && now >= nodes_due_) {
    const Status looked = LookAtNodes();
    if (status.ok()) status = looked;
    nodes_due_ = clock_.Now() + Jittered(options_.life_interval / 2);
  }
  return status;
}

Status Elector::Contend() {
  const std::string path = collection_ + "/" + kMergeLease;
  ASSIGN_OR_RETURN(Answer read, rest_.Do({.path = path}, Deadline::After(options_.timeout)));
  if (read.code != 404) RETURN_IF_ERROR(StatusOf(read, path));
  rules_.Observe(read.code == 404 ? Json() : read.body, clock_.Now());
  const LeaseAction action = rules_.Decide(clock_.Now());
  if (action == LeaseAction::kNone) return OkStatus();
  const MonoTime asked = clock_.Now();
  const std::string body = DumpJson(rules_.Body(kMergeLease, rest_.namespace_(), asked, clock_.Wall()));
  const bool create = action == LeaseAction::kCreate;
  ASSIGN_OR_RETURN(Answer wrote, rest_.Do({.method = create ? "POST" : "PUT",
                                           .path = create ? collection_ : path,
                                           .query = {},
                                           .content_type = kJson,
                                           .body = body},
                                          Deadline::After(options_.timeout)));
  if (wrote.code == 409) return OkStatus();  // another one was faster
  RETURN_IF_ERROR(StatusOf(wrote, path));
  rules_.Won(wrote.body, asked);
  return OkStatus();
}

Status Elector::ShowLife() {
  const std::string name = kNodeLease + options_.node;
  if (core_node_.empty()) core_node_ = options_.core_node();
  Json metadata = {{"name", name}, {"namespace", rest_.namespace_()}, {"labels", {{kNodeLabel, options_.node}}}};
  if (!core_node_.empty()) metadata["annotations"] = {{kCoreNodeAnnotation, core_node_}};
  const Json body = {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", std::move(metadata)},
      {"spec",
       {{"holderIdentity", options_.node},
        {"leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(options_.life.silent_after).count()},
        {"renewTime", FormatMicroTime(clock_.Wall())}}}};
  ASSIGN_OR_RETURN(Answer answer,
                   rest_.Do({.method = "PATCH",
                             .path = collection_ + "/" + PercentEncode(name),
                             .query = "fieldManager=" + PercentEncode("mcplet-" + options_.node) + "&force=true",
                             .content_type = kApplyPatch,
                             .body = DumpJson(body)},
                            Deadline::After(options_.timeout)));
  return StatusOf(answer, collection_ + "/" + name);
}

Status Elector::LookAtNodes() {
  ASSIGN_OR_RETURN(Answer answer,
                   rest_.Do({.path = collection_, .query = std::string("labelSelector=") + PercentEncode(kNodeLabel)},
                            Deadline::After(options_.timeout)));
  RETURN_IF_ERROR(StatusOf(answer, collection_));
  const MonoTime now = clock_.Now();
  looks_since_ = std::min(looks_since_, now);
  std::map<std::string, Seen> next;
  for (const Json& lease : GetMember(answer.body, "items")) {
    const Json& metadata = GetMember(lease, "metadata");
    const std::string node = GetString(GetMember(metadata, "labels"), kNodeLabel);
    const auto before = nodes_.find(node);
    Seen seen{.version = GetString(metadata, "resourceVersion"),
              .core_node = GetString(GetMember(metadata, "annotations"), kCoreNodeAnnotation),
              .renewed = ParseMicroTime(GetString(GetMember(lease, "spec"), "renewTime")).value_or(clock_.Wall()),
              .at = now};
    next[node] = before != nodes_.end() && before->second.version == seen.version ? before->second : std::move(seen);
  }
  nodes_ = std::move(next);
  std::erase_if(forgotten_, [&](const auto& each) { return now - each.second >= options_.life.gone_after; });
  return LookAtCoreNodes();
}

// Only of those that are silent, and seldom: a cluster may have many machines that are switched off.
Status Elector::LookAtCoreNodes() {
  for (auto& [node, seen] : nodes_) {
    const MonoTime now = clock_.Now();
    if (!IsSilent(node) || seen.core_node.empty()) continue;
    if (seen.core != CoreNode::kNotAsked && now - seen.asked_at < options_.life.silent_after) continue;
    // A list by name needs no right that the node's own watch does not need.
    ASSIGN_OR_RETURN(const Answer answer,
                     rest_.Do({.path = kCoreNodesPath,
                               .query = "limit=1&fieldSelector=" + PercentEncode("metadata.name=" + seen.core_node)},
                              Deadline::After(options_.timeout)));
    if (answer.code == 403) {
      seen.core = CoreNode::kForbidden;
    } else {
      RETURN_IF_ERROR(StatusOf(answer, kCoreNodesPath));
      const Json& items = GetMember(answer.body, "items");
      if (!items.is_array() && !items.is_null()) return Unavailable("nodes: the answer is no list");
      seen.core = items.empty() ? CoreNode::kAbsent : CoreNode::kThere;
    }
    seen.asked_at = now;
  }
  return OkStatus();
}

LifeSigns Elector::SignsOf(const std::string& node) const {
  if (node == options_.node || looks_since_ == MonoTime::max()) return {};
  const MonoTime now = clock_.Now();
  if (const auto seen = nodes_.find(node); seen != nodes_.end()) {
    return {.silent_for = now - seen->second.at,
            .lease_age = clock_.Wall() - seen->second.renewed,
            .on_core_node = !seen->second.core_node.empty(),
            .core_node = seen->second.core};
  }
  const auto forgotten = forgotten_.find(node);
  return {.silent_for = now - (forgotten == forgotten_.end() ? looks_since_ : forgotten->second),
          .lease_age = std::nullopt};
}

bool Elector::IsSilent(const std::string& node) const { return kube::IsSilent(SignsOf(node), options_.life); }

bool Elector::IsGone(const std::string& node) const { return kube::IsGone(SignsOf(node), options_.life); }

std::set<std::string> Elector::GoneNodes() const {
  std::set<std::string> gone;
  for (const auto& [node, seen] : nodes_) {
    if (IsGone(node)) gone.insert(node);
  }
  return gone;
}

Status Elector::Forget(const std::string& node) {
  const auto seen = nodes_.find(node);
  if (seen == nodes_.end()) return OkStatus();
  const std::string path = collection_ + "/" + PercentEncode(kNodeLease + node);
  const Json body = {
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"resourceVersion", seen->second.version}}}};
  ASSIGN_OR_RETURN(
      const Answer answer,
      rest_.Do({.method = "DELETE", .path = path, .query = {}, .content_type = kJson, .body = DumpJson(body)},
               Deadline::After(options_.timeout)));
  // 409: it lives again. The next look sees that.
  if (answer.code != 404 && answer.code != 409) RETURN_IF_ERROR(StatusOf(answer, path));
  if (answer.code != 409) LOG_INFO("a node is gone for good; its lease is removed", {{"node", node}});
  nodes_.erase(seen);
  forgotten_[node] = clock_.Now();
  return OkStatus();
}

}  // namespace mcpfleet::kube
