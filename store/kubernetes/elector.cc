#include "store/kubernetes/elector.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet::kube {

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
  const std::string name = "mcpfleet-node-" + options_.node;
  const Json body = {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", {{"name", name}, {"namespace", rest_.namespace_()}, {"labels", {{kNodeLabel, options_.node}}}}},
      {"spec",
       {{"holderIdentity", options_.node},
        {"leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(options_.silent_after).count()},
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
    const std::string node = GetString(GetMember(GetMember(lease, "metadata"), "labels"), kNodeLabel);
    const std::string version = GetString(GetMember(lease, "metadata"), "resourceVersion");
    const auto before = nodes_.find(node);
    const bool same = before != nodes_.end() && before->second.version == version;
    next[node] = {version, same ? before->second.at : now};
  }
  nodes_ = std::move(next);
  return OkStatus();
}

bool Elector::IsSilent(const std::string& node) const {
  if (node == options_.node || looks_since_ == MonoTime::max()) return false;
  const auto seen = nodes_.find(node);
  return clock_.Now() - (seen == nodes_.end() ? looks_since_ : seen->second.at) >= options_.silent_after;
}

}  // namespace mcpfleet::kube
