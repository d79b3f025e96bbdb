#include <algorithm>
#include <map>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/schema.h"
#include "crd/secret_spec.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kWatchPoll = std::chrono::milliseconds(500);

struct GetOptions {
  ResourceOptions resources;
  std::string output;
  bool watch = false, no_headers = false, show_labels = false, ignore_not_found = false;
};

// The kinds of "mcp,nodes" and of "all"; one when it is one.
std::vector<std::string> KindsOf(const ResourceOptions& resources) {
  if (resources.arguments.empty()) return {};
  const std::string& word = resources.arguments.front();
  if (!EqualsIgnoreCase(word, "all")) return Split(word, ',');
  std::vector<std::string> kinds;
  for (const auto& kind : Schema::Builtin().kinds()) kinds.push_back(kind->plural);
  return kinds;
}

std::string Age(const std::string& since, WallTime now) {
  StatusOr<WallTime> time = ParseTime(since);
  return time.ok() ? FormatAge(now - *time) : "<unknown>";
}

std::string LabelsText(const Labels& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(key + "=" + value);
  return parts.empty() ? "<none>" : Join(parts, ",");
}

std::string SourceText(const Object& object) {
  const Json& source = GetMember(object.spec, "source");
  if (source.contains("image")) return GetString(source["image"], "ref");
  if (source.contains("package")) {
    const Json& package = source["package"];
    return GetString(package, "manager", "npm") + ":" + GetString(package, "name") + "@" +
           GetString(package, "version");
  }
  if (source.contains("process")) return GetString(source["process"], "path");
  return GetString(GetMember(source, "remote"), "url");
}

std::vector<std::string> ServerRow(const ServerView& view, const GetOptions& options, bool namespaces, WallTime now) {
  const Object& object = *view.object;
  const ServerStatus* shown = nullptr;
  int64_t restarts = 0;
  std::vector<std::string> nodes;
  for (const auto& on : view.nodes) {
    if (!on.counts) continue;
    restarts += on.status->restarts.count;
    nodes.push_back(on.node->node);
    if (on.reported && (shown == nullptr || on.status->catalog.tools > shown->catalog.tools)) shown = on.status;
  }
  bool verified = shown != nullptr && !shown->server_info.protocol_version.empty();
  std::vector<std::string> row;
  if (namespaces) row.push_back(object.metadata.namespace_);
  row.push_back(object.metadata.name);
  row.push_back(std::to_string(ReadyNodes(view)) + "/" + std::to_string(WantedNodes(view)));
  row.push_back(StatusWord(view));
  row.push_back(verified ? std::to_string(shown->catalog.tools) : "-");
  row.push_back(verified ? shown->server_info.protocol_version : "-");
  row.push_back(std::to_string(restarts));
  row.push_back(Age(object.metadata.creation_timestamp, now));
  if (options.output == "wide") {
    row.push_back(SourceText(object));
    row.push_back(nodes.empty() ? "<none>" : Join(nodes, ","));
    row.push_back(shown != nullptr && !shown->endpoint.empty() ? shown->endpoint : "<none>");
  }
  if (options.show_labels) row.push_back(LabelsText(object.metadata.labels));
  return row;
}

std::vector<std::string> ServerHeaders(const GetOptions& options, bool namespaces) {
  std::vector<std::string> headers;
  if (namespaces) headers.push_back("NAMESPACE");
  headers.insert(headers.end(), {"NAME", "READY", "STATUS", "TOOLS", "PROTOCOL", "RESTARTS", "AGE"});
  if (options.output == "wide") headers.insert(headers.end(), {"SOURCE", "NODES", "ENDPOINT"});
  if (options.show_labels) headers.push_back("LABELS");
  return headers;
}

std::vector<std::string> NodeRow(const Fleet& fleet, const std::string& name, const GetOptions& options, WallTime now) {
  const NodeStatus* status = nullptr;
  for (const NodeStatus& node : fleet.nodes) {
    if (node.node == name) status = &node;
  }
  std::string ready = "Unknown", servers = "-", version = "-", seen = "<never>", head = "-", runtimes = "-";
  if (status != nullptr) {
    bool stale = now - status->heartbeat > kStaleHeartbeat;
    const Condition* condition = FindCondition(status->conditions, "Ready");
    if (condition != nullptr && !stale) {
      ready = condition->status == ConditionStatus::kTrue    ? "Ready"
              : condition->status == ConditionStatus::kFalse ? condition->reason
                                                             : "Unknown";
    }
    int64_t ready_servers = 0;
    for (const ServerStatus& server : status->servers) {
      const Condition* c = FindCondition(server.conditions, "Ready");
      ready_servers += c != nullptr && c->status == ConditionStatus::kTrue ? 1 : 0;
    }
    servers = std::to_string(ready_servers) + "/" + std::to_string(status->servers.size());
    version = status->version;
    seen = FormatAge(now - status->heartbeat);
    head = status->accepted_head;
    runtimes = status->runtimes.empty() ? "<none>" : Join(status->runtimes, ",");
  }
  if (auto it = fleet.desired.objects.find({kKindNode, "", name});
      it != fleet.desired.objects.end() && IsUnschedulable(it->second)) {
    ready += ",SchedulingDisabled";
  }
  std::vector<std::string> row{name, ready, servers, version, seen};
  if (options.output == "wide") row.insert(row.end(), {runtimes, head});
  return row;
}

std::vector<std::string> SecretHeaders(const GetOptions& options, bool namespaces) {
  std::vector<std::string> headers;
  if (namespaces) headers.push_back("NAMESPACE");
  headers.insert(headers.end(), {"NAME", "KEYS", "NODES", "OPERATORS", "VERSION", "AGE"});
  if (options.show_labels) headers.push_back("LABELS");
  return headers;
}

std::vector<std::string> SecretRow(const Object& object, const GetOptions& options, bool namespaces, WallTime now) {
  const SecretSpec spec = DecodeSecretSpec(object.spec).value_or(SecretSpec{});
  const auto nodes = std::count_if(spec.recipients.begin(), spec.recipients.end(),
                                   [](const SecretRecipient& each) { return each.kind == RecipientKind::kNode; });
  std::vector<std::string> row;
  if (namespaces) row.push_back(object.metadata.namespace_);
  row.push_back(object.metadata.name);
  row.push_back(std::to_string(spec.data.size()));
  row.push_back(std::to_string(nodes));
  row.push_back(std::to_string(static_cast<int64_t>(spec.recipients.size()) - nodes));
  row.push_back(spec.data_version.substr(0, 12));
  row.push_back(Age(object.metadata.creation_timestamp, now));
  if (options.show_labels) row.push_back(LabelsText(object.metadata.labels));
  return row;
}

Status PrintTable(Session& session, const GetOptions& options, const Selection& selection, const Fleet& fleet,
                  std::map<std::string, std::vector<std::string>>* last, bool headers, bool with_kind = false) {
  WallTime now = session.clock().Wall();
  bool namespaces = options.resources.all_namespaces;
  std::vector<std::pair<std::string, std::vector<std::string>>> rows;
  std::vector<std::string> header;
  if (selection.kind == kKindServer) {
    header = ServerHeaders(options, namespaces);
    ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
    for (const Object* object : objects) {
      rows.emplace_back(NameOf(KeyOf(*object)), ServerRow(ViewOf(fleet, *object, now), options, namespaces, now));
    }
  } else if (selection.kind == kKindSecret) {
    header = SecretHeaders(options, namespaces);
    ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
    for (const Object* object : objects)
      rows.emplace_back(NameOf(KeyOf(*object)), SecretRow(*object, options, namespaces, now));
  } else {
    header = {"NAME", "STATUS", "SERVERS", "VERSION", "LAST SEEN"};
    if (options.output == "wide") header.insert(header.end(), {"RUNTIMES", "HEAD"});
    ASSIGN_OR_RETURN(std::vector<std::string> names, FindNodes(fleet, selection));
    for (const std::string& name : names) rows.emplace_back(name, NodeRow(fleet, name, options, now));
  }
  Table table(header);
  for (auto& [name, row] : rows) {
    if (with_kind) {
      std::string& cell = row[selection.kind != kKindNode && namespaces ? 1 : 0];
      cell = Described({selection.kind, "", cell});
    }
    // While watching, only what changed is printed again; an age alone is no change.
    std::vector<std::string> compared = row;
    if (selection.kind == kKindServer)
      compared[static_cast<size_t>(namespaces ? 7 : 6)].clear();
    else if (selection.kind == kKindSecret)
      compared[static_cast<size_t>(namespaces ? 6 : 5)].clear();
    else
      compared[4].clear();
    if (last != nullptr && last->count(name) != 0 && (*last)[name] == compared) continue;
    if (last != nullptr) (*last)[name] = compared;
    table.Add(std::move(row));
  }
  if (table.empty() && last == nullptr) {
    session.err() << "No resources found"
                  << (selection.namespace_.empty() ? "." : " in namespace " + selection.namespace_ + ".") << "\n";
    return OkStatus();
  }
  if (!table.empty()) table.Print(session.out(), headers && !options.no_headers);
  session.out() << std::flush;
  return OkStatus();
}

StatusOr<std::vector<Json>> Objects(Session& session, const Selection& selection, const Fleet& fleet) {
  WallTime now = session.clock().Wall();
  std::vector<Json> out;
  if (selection.kind == kKindServer) {
    ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
    for (const Object* object : objects) out.push_back(Rendered(ViewOf(fleet, *object, now)));
    return out;
  }
  if (selection.kind == kKindSecret) {
    ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
    for (const Object* object : objects) out.push_back(ObjectToJson(*object));
    return out;
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, FindNodes(fleet, selection));
  for (const std::string& name : names) out.push_back(RenderedNode(fleet, name, now));
  return out;
}

// Leaves the names that are there; what is said of the others.
Status DropMissing(const Fleet& fleet, Selection* selection) {
  const bool stored = selection->kind != kKindNode;
  Status missing = stored ? Find(fleet, *selection).status() : FindNodes(fleet, *selection).status();
  if (missing.ok()) return missing;
  std::erase_if(selection->names, [&](const std::string& name) {
    Selection one = *selection;
    one.names = {name};
    return !(stored ? Find(fleet, one).status() : FindNodes(fleet, one).status()).ok();
  });
  return missing;
}

// Several kinds: a table each, names with their kind; or one list.
Status GetKinds(Session& session, const GetOptions& options, const std::vector<std::string>& kinds) {
  if (options.watch) return InvalidArgument("--watch takes one kind at a time");
  if (options.resources.arguments.size() > 1)
    return InvalidArgument("several kinds take no names; say KIND/NAME, or a selector");
  Fleet fleet;
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  RETURN_IF_ERROR(RefreshFleet(session, deadline, &fleet));
  const bool table = options.output.empty() || options.output == "wide";
  std::vector<Json> objects;
  bool any = false;
  for (const std::string& kind : kinds) {
    ResourceOptions one = options.resources;
    one.arguments = {kind};
    ASSIGN_OR_RETURN(Selection selection, Select(session, one));
    ASSIGN_OR_RETURN(std::vector<Json> found, Objects(session, selection, fleet));
    if (found.empty()) continue;
    if (table) {
      if (any) session.out() << "\n";
      RETURN_IF_ERROR(PrintTable(session, options, selection, fleet, nullptr, true, true));
    }
    any = true;
    objects.insert(objects.end(), found.begin(), found.end());
  }
  if (!table) return PrintObjects(session.out(), options.output, objects, true);
  if (!any) session.err() << "No resources found.\n";
  return OkStatus();
}

Status RunGet(Session& session, const GetOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "name", "jsonpath"}));
  if (const std::vector<std::string> kinds = KindsOf(options.resources); kinds.size() > 1)
    return GetKinds(session, options, kinds);
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  bool table = options.output.empty() || options.output == "wide";
  std::map<std::string, std::vector<std::string>> last_rows;
  std::map<std::string, std::string> last_objects;
  Fleet fleet;
  Status missing;
  const bool list = selection.names.size() != 1;
  // The endpoint of -o wide, and the objects, need the whole statuses.
  const StatusDetail detail =
      table && options.output.empty() && selection.kind == kKindServer ? StatusDetail::kServers : StatusDetail::kFull;
  for (bool first = true;; first = false) {
    ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
    Status read = RefreshFleet(session, deadline, &fleet, detail);
    if (!read.ok() && (first || !IsRetryable(read))) return read;
    if (first && !selection.names.empty()) {
      missing = DropMissing(fleet, &selection);
      if (options.ignore_not_found) missing = OkStatus();
      if (selection.names.empty()) return missing;  // not every object there is
    }
    if (read.ok() && table) {
      RETURN_IF_ERROR(PrintTable(session, options, selection, fleet, options.watch ? &last_rows : nullptr, first));
    } else if (read.ok()) {
      ASSIGN_OR_RETURN(std::vector<Json> objects, Objects(session, selection, fleet));
      if (!options.watch) {
        RETURN_IF_ERROR(PrintObjects(session.out(), options.output, objects, list));
        return missing;
      }
      for (const Json& object : objects) {
        std::string& last = last_objects[GetString(GetMember(object, "metadata"), "namespace") + "/" +
                                         GetString(GetMember(object, "metadata"), "name")];
        std::string text = DumpJson(object);
        if (text == last) continue;
        last = text;
        RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {object}, false));
        session.out() << std::flush;
      }
    }
    if (!options.watch || !session.Pause(kWatchPoll)) return missing;
  }
}

}  // namespace

void RegisterGet(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("get", "List servers, nodes or secrets");
  auto options = std::make_shared<GetOptions>();
  command->footer(
      "Examples:\n"
      "  mcpctl get mcpservers                 mcpctl get mcp -A -o wide\n"
      "  mcpctl get mcp/weather -o yaml        mcpctl get mcp -l app=shop -w\n"
      "  mcpctl get mcpnodes                   mcpctl get all\n"
      "  mcpctl get mcpsecrets                 names and recipients, never a value\n"
      "  mcpctl get mcp -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'");
  AddResourceOptions(*command, &options->resources, true);
  command->add_option("-o,--output", options->output, "wide, json, yaml, name or jsonpath=EXPRESSION");
  command->add_flag("-w,--watch", options->watch, "go on and print what changes");
  command->add_flag("--ignore-not-found", options->ignore_not_found, "what is absent is fine");
  command->add_flag("--no-headers", options->no_headers, "rows only");
  command->add_flag("--show-labels", options->show_labels, "a column with all labels");
  command->callback([options, &session] { session.Finish(RunGet(session, *options)); });
}

}  // namespace mcpfleet::cli
