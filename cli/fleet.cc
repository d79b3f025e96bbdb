#include "cli/fleet.h"

#include <algorithm>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/replicas.h"
#include "cli/worker_servers.h"
#include "controller/placement/place.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kMostNodes = 100'000;

// The node behind the admin address, as it is now. Best effort: the store's copy is at most a write interval old.
void Freshen(Session& session, std::vector<NodeStatus>* nodes) {
  StatusOr<Context> context = session.context();
  if (!context.ok() || context->admin.empty()) return;
  StatusOr<http::Response> response = session.Admin({.target = "/v1/status"}, Deadline::After(std::chrono::seconds(5)));
  if (!response.ok()) return;
  StatusOr<Json> json = ParseJson(response->body);
  if (!json.ok()) return;
  StatusOr<NodeStatus> live = NodeStatusFromJson(*json);
  if (!live.ok()) return;
  for (NodeStatus& node : *nodes) {
    if (node.node != live->node) continue;
    node = *std::move(live);
    return;
  }
  nodes->push_back(*std::move(live));
}

// As the node decides it itself: by the labels of its MCPNode.
bool PlacedOn(const Fleet& fleet, const Object& object, const std::string& node) {
  Labels labels;
  bool unschedulable = false;
  if (auto it = fleet.desired.objects.find({kKindNode, "", node}); it != fleet.desired.objects.end()) {
    labels = it->second.metadata.labels;
    unschedulable = IsUnschedulable(it->second);
  }
  return Place(GetMember(object.spec, "placement"), node, labels, unschedulable);
}

bool IsReplicated(const Object& object) {
  return object.kind == kKindServer && ReplicasOf(GetMember(object.spec, "placement")).has_value();
}

// Without the list all nodes are shown as if they were up, which is said.
void ReadDown(Session& session, Deadline deadline, Fleet* fleet) {
  const bool needed = std::any_of(fleet->desired.objects.begin(), fleet->desired.objects.end(),
                                  [](const auto& item) { return IsReplicated(item.second); });
  if (!needed) return;
  const StatusOr<DownList> list = ReadDownList(session, deadline);
  if (list.ok()) fleet->down = DownNodes(list->nodes.begin(), list->nodes.end());
  const std::string problem = list.ok() ? "" : Message(list.status());
  if (problem != std::exchange(fleet->down_problem, problem) && !problem.empty())
    session.err() << "warning: which nodes are down is not known: " << problem << "\n";
}

std::string WhyThere(const Fleet& fleet, const Object& object, const std::string& node, bool placed) {
  if (placed) return "its place";
  if (fleet.down.contains(node)) return "down, another node has its place";
  const PlacementNode* declared = fleet.declared.Find(node);
  if (declared == nullptr) return "not declared by an MCPNode";
  if (declared->drained) return "drained, hands it over";
  const Json& placement = GetMember(object.spec, "placement");
  if (!Place(placement, node, declared->labels, false)) return "does not match any more";
  if (declared->unschedulable && fleet.declared.WouldPlace(KeyOf(object), placement, fleet.down, node))
    return "cordoned, keeps it until it is drained";
  return "hands it over";
}

}  // namespace

StatusOr<std::vector<NodeStatus>> ReadNodes(Session& session, Deadline deadline) {
  ASSIGN_OR_RETURN(KvClient * kv, session.State());
  ASSIGN_OR_RETURN(std::vector<KvKey> keys, ListAll(*kv, "nodes/", kMostNodes, deadline));
  std::vector<std::string> names;
  names.reserve(keys.size());
  for (const KvKey& key : keys) names.push_back(key.name);
  std::vector<NodeStatus> nodes;
  if (!names.empty()) {
    ASSIGN_OR_RETURN(auto values, BulkGetAll(*kv, names, deadline));
    for (const auto& [key, value] : values) {
      StatusOr<Json> json = ParseJson(value);
      StatusOr<NodeStatus> node = json.ok() ? NodeStatusFromJson(*json) : StatusOr<NodeStatus>(json.status());
      if (node.ok()) {
        nodes.push_back(*std::move(node));
      } else {
        session.err() << "warning: " << key << ": not a node's status: " << Message(node.status()) << "\n";
      }
    }
  }
  Freshen(session, &nodes);
  std::sort(nodes.begin(), nodes.end(), [](const NodeStatus& a, const NodeStatus& b) { return a.node < b.node; });
  return nodes;
}

StatusOr<Fleet> ReadFleet(Session& session, Deadline deadline) {
  Fleet fleet;
  RETURN_IF_ERROR(RefreshFleet(session, deadline, &fleet));
  return fleet;
}

namespace {

// Whether a server that should run somewhere is on no node's list: then the nodes matter that have no server at all.
bool AnyUnreported(const Fleet& fleet) {
  std::set<ServerKey> reported;
  for (const NodeStatus& node : fleet.nodes) {
    for (const ServerStatus& server : node.servers) reported.insert(server.key);
  }
  return std::any_of(fleet.desired.objects.begin(), fleet.desired.objects.end(), [&](const auto& item) {
    return item.first.kind == kKindServer && !reported.contains({item.first.namespace_, item.first.name});
  });
}

// The Worker's one list of servers instead of all statuses.
Status ReadFromWorker(Session& session, Deadline deadline, Fleet* fleet) {
  ASSIGN_OR_RETURN(fleet->nodes, ReadServersOfWorker(session, deadline));
  if (AnyUnreported(*fleet)) RETURN_IF_ERROR(AddIdleNodes(session, deadline, &fleet->nodes));
  Freshen(session, &fleet->nodes);
  std::sort(fleet->nodes.begin(), fleet->nodes.end(),
            [](const NodeStatus& a, const NodeStatus& b) { return a.node < b.node; });
  return OkStatus();
}

}  // namespace

Status RefreshFleet(Session& session, Deadline deadline, Fleet* fleet, StatusDetail detail) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  bool same = false;
  if (const std::optional<Head>& last = fleet->desired.head; last.has_value() && fleet->desired.missing.empty()) {
    ASSIGN_OR_RETURN(std::optional<Head> head, ReadHead(*kv, deadline));
    same = head.has_value() && head->order == last->order && head->snapshot == last->snapshot;
  }
  if (!same) {
    ASSIGN_OR_RETURN(StoredState state, ReadState(*kv, deadline));
    if (state.missing != fleet->desired.missing) {
      for (const std::string& missing : state.missing) session.err() << "warning: " << missing << "\n";
    }
    fleet->desired = std::move(state);
    if (fleet->desired.head.has_value()) session.SawHead(fleet->desired.head->order);
    fleet->declared = DeclaredNodes(fleet->desired);
  }
  ReadDown(session, deadline, fleet);
  if (detail == StatusDetail::kServers && !fleet->no_worker) {
    const Status read = ReadFromWorker(session, deadline, fleet);
    if (read.ok()) return read;
    // Whatever it was, the statuses tell the same, and their errors are the store's own.
    fleet->no_worker = read.code() == StatusCode::kFailedPrecondition;
  }
  ASSIGN_OR_RETURN(fleet->nodes, ReadNodes(session, deadline));
  return OkStatus();
}

PlacementNodes DeclaredNodes(const StoredState& desired) {
  std::vector<PlacementNode> nodes;
  for (const auto& [key, object] : desired.objects) {
    if (key.kind == kKindNode) nodes.push_back(PlacementNodeOf(object));
  }
  return PlacementNodes(std::move(nodes));
}

ServerView ViewOf(const Fleet& fleet, const Object& object, WallTime now) {
  static const ServerStatus kNotReported;
  ServerView view{.object = &object};
  bool desired = fleet.desired.objects.count(KeyOf(object)) != 0;
  std::set<std::string> placed;  // of a server with replicas
  if (desired && IsReplicated(object)) {
    const Json& placement = GetMember(object.spec, "placement");
    view.replicas = ReplicasOf(placement);
    for (std::string& node : fleet.declared.Place(KeyOf(object), placement, fleet.down)) placed.insert(std::move(node));
  }
  std::set<std::string> unseen = placed;
  for (const NodeStatus& node : fleet.nodes) {
    bool stale = now - node.heartbeat > kStaleHeartbeat;
    auto own = std::find_if(node.servers.begin(), node.servers.end(), [&](const ServerStatus& status) {
      return status.key.namespace_ == object.metadata.namespace_ && status.key.name == object.metadata.name;
    });
    unseen.erase(node.node);
    const bool here = view.replicas ? placed.contains(node.node) : desired && PlacedOn(fleet, object, node.node);
    if (own != node.servers.end()) {
      view.nodes.push_back({.node = &node, .status = &*own, .stale = stale});
    } else if (here) {
      view.nodes.push_back({.node = &node, .status = &kNotReported, .stale = stale, .reported = false});
    } else {
      continue;
    }
    if (!view.replicas) continue;
    view.nodes.back().counts = here;
    view.nodes.back().why = WhyThere(fleet, object, node.node, here);
  }
  for (const std::string& name : unseen) {
    view.unseen.push_back(std::make_shared<const NodeStatus>(NodeStatus{.node = name}));
    view.nodes.push_back({.node = view.unseen.back().get(),
                          .status = &kNotReported,
                          .reported = false,
                          .why = "its place, but the node has never reported"});
  }
  return view;
}

StatusOr<std::vector<const Object*>> Find(const Fleet& fleet, const Selection& selection) {
  std::vector<const Object*> found;
  std::set<std::string> missing(selection.names.begin(), selection.names.end());
  for (const auto& [key, object] : fleet.desired.objects) {
    if (!selection.Matches(object)) continue;
    missing.erase(object.metadata.name);
    found.push_back(&object);
  }
  if (missing.empty()) return found;
  std::vector<std::string> names, all;
  for (const std::string& name : missing) names.push_back(Described({selection.kind, selection.namespace_, name}));
  for (const auto& [key, object] : fleet.desired.objects) {
    if (key.kind == selection.kind) all.push_back(key.name);
  }
  std::string hint;
  if (std::string near = Nearest(*missing.begin(), all); !near.empty()) hint = "; did you mean \"" + near + "\"?";
  for (const auto& [key, object] : fleet.desired.objects) {
    if (key.kind == selection.kind && key.name == *missing.begin())
      hint = "; there is one in namespace " + key.namespace_ + ": -n " + key.namespace_;
  }
  return NotFound(Join(names, ", ") + " not found" +
                  (selection.namespace_.empty() ? "" : " in namespace " + selection.namespace_) + hint);
}

StatusOr<std::vector<std::string>> FindNodes(const Fleet& fleet, const Selection& selection) {
  std::vector<std::string> all = NodeNames(fleet), found;
  for (const std::string& name : selection.names) {
    if (std::find(all.begin(), all.end(), name) != all.end()) continue;
    std::string near = Nearest(name, all);
    return NotFound(Described({kKindNode, "", name}) + " not found" +
                    (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  for (const std::string& name : all) {
    Object node{.kind = kKindNode, .metadata = {.name = name, .namespace_ = ""}};
    if (auto it = fleet.desired.objects.find({kKindNode, "", name}); it != fleet.desired.objects.end())
      node = it->second;
    if (selection.Matches(node)) found.push_back(name);
  }
  return found;
}

namespace {

bool IsReady(const ServerView& view, const ServerView::OnNode& on) {
  const Condition* ready = FindCondition(on.status->conditions, "Ready");
  return on.counts && !on.stale && on.reported && ready != nullptr && ready->status == ConditionStatus::kTrue &&
         on.status->observed_generation == view.object->metadata.generation;
}

int Rank(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kFalse:
      return 2;
    case ConditionStatus::kUnknown:
      return 1;
    case ConditionStatus::kTrue:
      return 0;
  }
  return 0;
}

}  // namespace

int ReadyNodes(const ServerView& view) {
  return static_cast<int>(std::count_if(view.nodes.begin(), view.nodes.end(),
                                        [&](const ServerView::OnNode& on) { return IsReady(view, on); }));
}

int64_t WantedNodes(const ServerView& view) { return view.replicas.value_or(static_cast<int64_t>(view.nodes.size())); }

std::string Unmet(const ServerView& view, const Condition& condition) {
  std::string count;
  if (view.replicas) {
    count = std::to_string(ReadyNodes(view)) + " of " + std::to_string(WantedNodes(view)) + " replicas are Ready; ";
  }
  return count + condition.reason + (condition.message.empty() ? "" : ": " + condition.message);
}

const Condition* FindConditionAnyCase(const std::vector<Condition>& conditions, std::string_view type) {
  auto found = std::find_if(conditions.begin(), conditions.end(),
                            [&](const Condition& condition) { return EqualsIgnoreCase(condition.type, type); });
  return found == conditions.end() ? nullptr : &*found;
}

Condition Merged(const ServerView& view, std::string_view type) {
  Condition merged{.type = std::string(type),
                   .status = ConditionStatus::kUnknown,
                   .observed_generation = view.object->metadata.generation,
                   .reason = "NotReported",
                   .message = "no node has reported this server yet"};
  bool first = true;
  int64_t places = 0;
  for (const ServerView::OnNode& on : view.nodes) {
    if (!on.counts) continue;
    ++places;
    Condition condition{.type = std::string(type), .reason = "NotReported", .message = "not reported yet"};
    if (const Condition* own = FindConditionAnyCase(on.status->conditions, type); own != nullptr) condition = *own;
    if (on.stale) {
      condition.status = ConditionStatus::kUnknown;
      condition.reason = "NodeSilent";
      condition.message = "the last heartbeat is from " + FormatTime(on.node->heartbeat);
    } else if (on.reported && on.status->observed_generation != view.object->metadata.generation) {
      condition.status = ConditionStatus::kUnknown;
      condition.reason = "Progressing";
      condition.message =
          "the node has not seen generation " + std::to_string(view.object->metadata.generation) + " yet";
    }
    if (view.nodes.size() > 1 && condition.status != ConditionStatus::kTrue)
      condition.message = on.node->node + ": " + condition.message;
    if (first || Rank(condition.status) > Rank(merged.status)) merged = condition;
    first = false;
  }
  if (view.replicas && places < *view.replicas && merged.status != ConditionStatus::kFalse &&
      EqualsIgnoreCase(type, "Ready")) {
    merged.status = ConditionStatus::kFalse;
    merged.reason = "TooFewNodes";
    merged.message = std::to_string(*view.replicas) +
                     " replicas are wanted; nodes that match, are schedulable and not "
                     "down: " +
                     std::to_string(places);
  }
  return merged;
}

std::string StatusWord(const ServerView& view) {
  if (GetBool(view.object->spec, "suspend")) {
    bool running =
        std::any_of(view.nodes.begin(), view.nodes.end(), [](const auto& on) { return !on.status->instances.empty(); });
    return running ? "Suspending" : "Suspended";
  }
  Condition ready = Merged(view, "Ready");
  if (ready.status == ConditionStatus::kTrue) return "Ready";
  return ready.reason == "NotReported" ? "Pending" : ready.reason;
}

Json Rendered(const ServerView& view) {
  Json json = ObjectToJson(*view.object);
  Json status = Json::object();
  std::vector<std::string> types;
  Json nodes = Json::array();
  for (const ServerView::OnNode& on : view.nodes) {
    if (!on.reported) continue;
    Json entry = ServerStatusToJson(*on.status);
    entry["node"] = on.node->node;
    for (const char* member : {"namespace", "name", "uid"}) entry.erase(member);
    nodes.push_back(std::move(entry));
    for (const Condition& condition : on.status->conditions) {
      if (std::find(types.begin(), types.end(), condition.type) == types.end()) types.push_back(condition.type);
    }
  }
  Json conditions = Json::array();
  for (const std::string& type : types) conditions.push_back(ConditionToJson(Merged(view, type)));
  int64_t observed = 0;
  for (const ServerView::OnNode& on : view.nodes) {
    if (on.reported && on.counts)
      observed = observed == 0 ? on.status->observed_generation : std::min(observed, on.status->observed_generation);
  }
  if (observed != 0) status["observedGeneration"] = observed;
  status["conditions"] = std::move(conditions);
  status["nodes"] = std::move(nodes);
  json["status"] = std::move(status);
  return json;
}

std::vector<std::string> NodeNames(const Fleet& fleet) {
  std::set<std::string> names;
  for (const NodeStatus& node : fleet.nodes) names.insert(node.node);
  for (const auto& [key, object] : fleet.desired.objects) {
    if (key.kind == kKindNode) names.insert(key.name);
  }
  return {names.begin(), names.end()};
}

Json RenderedNode(const Fleet& fleet, const std::string& name, WallTime now) {
  Object object{.kind = kKindNode, .metadata = {.name = name, .namespace_ = ""}};
  if (auto it = fleet.desired.objects.find({kKindNode, "", name}); it != fleet.desired.objects.end())
    object = it->second;
  Json json = ObjectToJson(object);
  for (const NodeStatus& node : fleet.nodes) {
    if (node.node != name) continue;
    Json status = NodeStatusToJson(node);
    if (now - node.heartbeat > kStaleHeartbeat) {
      for (Json& condition : status["conditions"]) {
        condition["status"] = "Unknown";
        condition["reason"] = "NodeSilent";
      }
    }
    status.erase("servers");
    status["servers"] = node.servers.size();
    json["status"] = std::move(status);
  }
  return json;
}

}  // namespace mcpfleet::cli
