#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/node_verbs.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/quantity.h"
#include "gitops/secret_rules.h"
#include "store/trust/node_keys.h"
#include "store/trust/sealed_secret.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kColumn = 16;

void Field(std::ostream& out, std::string_view name, std::string_view value, size_t indent = 0) {
  std::string label = std::string(indent, ' ') + std::string(name) + ":";
  if (label.size() < kColumn + indent) label.append(kColumn + indent - label.size(), ' ');
  out << label << (value.empty() ? "<none>" : value) << "\n";
}

void Pairs(std::ostream& out, std::string_view name, const Labels& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(key + "=" + value);
  Field(out, name, Join(parts, "\n" + std::string(kColumn, ' ')));
}

void Indented(std::ostream& out, const std::string& text, int indent) {
  for (const std::string& line : Split(text, '\n')) {
    if (!line.empty()) out << std::string(static_cast<size_t>(indent), ' ') << Printable(line, 1000) << "\n";
  }
}

void Conditions(std::ostream& out, const std::vector<Condition>& conditions, int indent, WallTime now) {
  out << std::string(static_cast<size_t>(indent), ' ') << "Conditions:\n";
  Table table({std::string(static_cast<size_t>(indent) + 2, ' ') + "TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"});
  for (const Condition& c : conditions) {
    table.Add({std::string(static_cast<size_t>(indent) + 2, ' ') + c.type, ToString(c.status),
               FormatAge(now - c.last_transition_time), c.reason, Printable(c.message, 300)});
  }
  table.Print(out);
}

void DescribeOnNode(std::ostream& out, const ServerView::OnNode& on, WallTime now) {
  const std::string why = on.why.empty() ? "" : " (" + on.why + ")";
  if (!on.reported) {
    out << "  " << on.node->node << why << ": has not reported it yet\n";
    return;
  }
  const ServerStatus& status = *on.status;
  out << "  " << on.node->node << (on.stale ? " (silent since " + FormatTime(on.node->heartbeat) + ")" : "") << why
      << "\n";
  Field(out, "Generation", std::to_string(status.observed_generation), 4);
  Field(out, "Revision", status.revision.substr(0, 12), 4);
  if (!status.image_digest.empty()) Field(out, "Artifact", status.image_digest, 4);
  if (!status.server_info.name.empty()) {
    Field(out, "Server", Printable(status.server_info.name + " " + status.server_info.version), 4);
    Field(out, "Protocol", status.server_info.protocol_version, 4);
    Field(out, "Capabilities", Join(status.server_info.capabilities, ", "), 4);
    Field(out, "Catalogue",
          std::to_string(status.catalog.tools) + " tools, " + std::to_string(status.catalog.resources) +
              " resources, " + std::to_string(status.catalog.prompts) + " prompts",
          4);
    Field(out, "Tools hash", status.catalog.tools_hash, 4);
  }
  if (!status.endpoint.empty()) Field(out, "Endpoint", status.endpoint, 4);
  for (const InstanceSummary& instance : status.instances) {
    Field(out, "Instance",
          instance.id + " (" + instance.runtime + ", " + instance.state +
              (instance.started_at == WallTime{} ? "" : ", " + FormatAge(now - instance.started_at)) + ")",
          4);
  }
  const Restarts& restarts = status.restarts;
  if (restarts.count > 0 || !restarts.last_reason.empty()) {
    std::string last = restarts.last_reason;
    if (restarts.last_exit_code.has_value()) last += ", exit code " + std::to_string(*restarts.last_exit_code);
    if (restarts.last_signal != 0) last += ", signal " + std::to_string(restarts.last_signal);
    if (restarts.last_at != WallTime{}) last += ", " + FormatAge(now - restarts.last_at) + " ago";
    Field(out, "Restarts", std::to_string(restarts.count) + " (last: " + last + ")", 4);
    if (restarts.next_attempt_at.has_value() && *restarts.next_attempt_at > now)
      Field(out, "Next attempt", "in " + FormatAge(*restarts.next_attempt_at - now), 4);
    if (!restarts.stderr_tail.empty()) {
      out << "    Last stderr:\n";
      Indented(out, restarts.stderr_tail, 6);
    }
  }
  Conditions(out, status.conditions, 4, now);
}

void DescribeEvents(Session& session, const ObjectKey& key) {
  StatusOr<Context> context = session.context();
  if (!context.ok() || context->admin.empty()) return;
  std::string target = "/v1/events?server=" + PercentEncode(key.namespace_ + "/" + key.name);
  StatusOr<http::Response> response = session.Admin({.target = target}, Deadline::After(std::chrono::seconds(5)));
  StatusOr<Json> json = response.ok() ? ParseJson(response->body) : StatusOr<Json>(response.status());
  if (!json.ok()) {
    session.err() << "warning: no events: " << Message(json.status()) << "\n";
    return;
  }
  session.out() << "Events:\n";
  Table table({"  AGE", "TYPE", "REASON", "MESSAGE"});
  for (const Json& item : GetMember(*json, "items")) {
    StatusOr<Event> event = EventFromJson(item);
    if (!event.ok()) continue;
    table.Add({"  " + FormatAge(session.clock().Wall() - event->time) +
                   (event->count > 1 ? " (x" + std::to_string(event->count) + ")" : ""),
               event->type, event->reason, Printable(event->message, 300)});
  }
  if (table.empty())
    session.out() << "  <none>\n";
  else
    table.Print(session.out());
}

void DescribeServer(Session& session, const ServerView& view) {
  std::ostream& out = session.out();
  WallTime now = session.clock().Wall();
  const Object& object = *view.object;
  Field(out, "Name", object.metadata.name);
  Field(out, "Namespace", object.metadata.namespace_);
  Pairs(out, "Labels", object.metadata.labels);
  Pairs(out, "Annotations", object.metadata.annotations);
  Field(out, "UID", object.metadata.uid);
  Field(out, "Generation", std::to_string(object.metadata.generation));
  Field(out, "Created", object.metadata.creation_timestamp);
  Field(out, "Status", StatusWord(view));
  if (view.replicas) {
    const Condition ready = Merged(view, "Ready");
    Field(out, "Replicas",
          std::to_string(*view.replicas) + " wanted, " + std::to_string(ReadyNodes(view)) + " Ready" +
              (ready.reason == "TooFewNodes" ? " (" + ready.message + ")" : ""));
  }
  out << "Spec:\n";
  Indented(out, ObjectToYaml(object.spec), 2);
  out << "Nodes:" << (view.nodes.empty() ? " <none has reported it>" : "") << "\n";
  for (const auto& on : view.nodes) DescribeOnNode(out, on, now);
  DescribeEvents(session, KeyOf(object));
}

// What the Worker knows of it, where there is one.
void DescribeAtWorker(Session& session, const std::string& name) {
  StatusOr<WorkerApi*> worker = session.Worker();
  if (!worker.ok()) return;
  const StatusOr<WorkerAnswer> answer =
      (*worker)->Get("/v1/nodes/" + PercentEncode(name), Deadline::After(std::chrono::seconds(5)));
  if (!answer.ok()) return;
  std::ostream& out = session.out();
  const Json& node = answer->result;
  Field(out, "At the Worker", NodeWord(node));
  for (const Json& token : GetMember(node, "tokens")) {
    const std::string expires = TimeOfMillis(GetMember(token, "expires"));
    Field(out, "Token", Printable(GetString(token, "id"), 20) + (expires.empty() ? "" : ", until " + expires));
  }
  if (const std::string tunnel = GetString(node, "tunnel"); !tunnel.empty())
    Field(out, "Tunnel", Printable(tunnel, 200));
}

void DescribeNode(Session& session, const Fleet& fleet, const std::string& name) {
  std::ostream& out = session.out();
  WallTime now = session.clock().Wall();
  Field(out, "Name", name);
  if (auto it = fleet.desired.objects.find({kKindNode, "", name}); it != fleet.desired.objects.end()) {
    Pairs(out, "Labels", it->second.metadata.labels);
    Field(out, "Unschedulable",
          IsDrained(it->second)         ? "true, drained"
          : IsUnschedulable(it->second) ? "true"
                                        : "false");
    if (const std::optional<NodePublicKeys> keys = PublishedKeys(it->second); keys.has_value()) {
      Field(out, "Signing key", keys->signing);
      Field(out, "Sealing key", keys->sealing);
    } else {
      Field(out, "Keys", "<none accepted>");
    }
  }
  DescribeAtWorker(session, name);
  for (const NodeStatus& node : fleet.nodes) {
    if (node.node != name) continue;
    Field(out, "Version", node.version);
    Field(out, "Last seen", FormatAge(now - node.heartbeat) + " ago");
    Field(out, "Head", node.accepted_head);
    Field(out, "Runtimes", Join(node.runtimes, ", "));
    if (node.capacity.cpus > 0) {
      const auto whole = [](int64_t bytes) { return FormatBytes(bytes >> 20 << 20); };  // to the MiB
      Field(out, "Capacity",
            std::to_string(node.capacity.cpus) + (node.capacity.cpus == 1 ? " CPU, " : " CPUs, ") +
                whole(node.capacity.memory_bytes) + " memory, " + whole(node.capacity.disk_bytes) + " disk");
    }
    Conditions(out, node.conditions, 0, now);
    out << "Servers:\n";
    Table table({"  NAMESPACE", "NAME", "READY", "REASON"});
    for (const ServerStatus& server : node.servers) {
      const Condition* ready = FindCondition(server.conditions, "Ready");
      table.Add({"  " + server.key.namespace_, server.key.name, ready == nullptr ? "Unknown" : ToString(ready->status),
                 ready == nullptr ? "" : ready->reason});
    }
    if (table.empty())
      out << "  <none>\n";
    else
      table.Print(out);
    return;
  }
  out << "This node has never reported.\n";
}

// Names and sizes; what is sealed is of no use to people.
void DescribeSecret(Session& session, const Fleet& fleet, const Object& object) {
  std::ostream& out = session.out();
  const ObjectMeta& meta = object.metadata;
  const SecretSpec spec = DecodeSecretSpec(object.spec).value_or(SecretSpec{});
  Field(out, "Name", meta.name);
  Field(out, "Namespace", meta.namespace_);
  Pairs(out, "Labels", meta.labels);
  Pairs(out, "Annotations", meta.annotations);
  Field(out, "UID", meta.uid);
  Field(out, "Generation", std::to_string(meta.generation));
  Field(out, "Created", meta.creation_timestamp);
  Field(out, "Data version", spec.data_version);
  out << "Keys:\n";
  for (const auto& [key, sealed] : spec.data) out << "  " << key << "\n";
  out << "Recipients:\n";
  Table table({"  KIND", "NAME", "PUBLIC KEY", "NOW"});
  for (const SecretRecipient& each : spec.recipients) {
    const bool node = each.kind == RecipientKind::kNode;
    const bool current = !node || SealingKeyOf(fleet.desired.objects, each.name) == each.public_key;
    table.Add({node ? "  Node" : "  Operator", each.name, each.public_key, current ? "" : "gone, or has another key"});
  }
  table.Print(out);
  std::vector<std::string> closed;
  for (const SecretRecipient& node : NodesOf(fleet.desired.objects, spec.placement)) {
    if (!IsRecipient(spec, node.public_key)) closed.push_back(node.name);
  }
  Field(out, "Not sealed to", Join(closed, ", "));
  if (!closed.empty()) out << "  let them in: mcpctl secrets rewrap " << meta.name << " -n " << meta.namespace_ << "\n";
  Field(out, "Used by", Join(UsersOf(fleet.desired.objects, meta.namespace_, meta.name), ", "));
}

Status RunDescribe(Session& session, const ResourceOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, options));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
  bool first = true;
  if (selection.kind == kKindNode) {
    ASSIGN_OR_RETURN(std::vector<std::string> names, FindNodes(fleet, selection));
    for (const std::string& name : names) {
      if (!first) session.out() << "\n\n";
      first = false;
      DescribeNode(session, fleet, name);
    }
    if (first) session.err() << "No resources found\n";
    return OkStatus();
  }
  ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
  for (const Object* object : objects) {
    if (!first) session.out() << "\n\n";
    first = false;
    if (object->kind == kKindSecret) {
      DescribeSecret(session, fleet, *object);
    } else {
      DescribeServer(session, ViewOf(fleet, *object, session.clock().Wall()));
    }
  }
  if (first) session.err() << "No resources found\n";
  return OkStatus();
}

}  // namespace

void RegisterDescribe(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("describe", "Everything about servers, nodes or secrets, in words");
  auto options = std::make_shared<ResourceOptions>();
  command->footer(
      "Examples:\n  mcpctl describe mcp/weather\n  mcpctl describe mcpnode edge-01\n"
      "  mcpctl describe mcpsecret github");
  AddResourceOptions(*command, options.get(), true);
  command->callback([options, &session] { session.Finish(RunDescribe(session, *options)); });
}

}  // namespace mcpfleet::cli
