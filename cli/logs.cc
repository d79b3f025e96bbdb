#include <algorithm>
#include <optional>
#include <ostream>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/output.h"
#include "cli/print_stored_logs.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

struct LogsOptions {
  ResourceOptions resources;
  bool follow = false, previous = false, timestamps = false, all_nodes = false;
  std::string since, since_time, node;
  int64_t tail = -1;
};

// What is asked for, whatever it is read from.
struct LogsRequest {
  const LogsOptions& options;
  std::string namespace_, server;
  std::optional<WallTime> since;
};

// Copies a stream of lines; every line of a log begins with its time and a space. True when there was any.
StatusOr<bool> CopyLines(Session& session, http::ResponseStream& stream, Deadline deadline, bool timestamps) {
  bool any = false;
  std::string partial;
  for (;;) {
    ASSIGN_OR_RETURN(std::string piece, stream.Read(deadline));
    if (piece.empty()) break;
    any = true;
    partial += piece;
    for (size_t newline; (newline = partial.find('\n')) != std::string::npos; partial.erase(0, newline + 1)) {
      std::string_view line = std::string_view(partial).substr(0, newline);
      if (size_t space = line.find(' '); !timestamps && space != std::string_view::npos) line.remove_prefix(space + 1);
      session.out() << line << "\n";
    }
    session.out() << std::flush;
    if (!session.out().good()) break;
  }
  return any;
}

// --- from the node ---

// `*opened`: the node answered with its log, whatever came then.
Status ReadLive(Session& session, const LogsRequest& request, bool* opened) {
  const LogsOptions& options = request.options;
  std::string target =
      "/v1/servers/" + PercentEncode(request.namespace_) + "/" + PercentEncode(request.server) + "/logs?";
  if (options.follow) target += "follow=true&";
  if (options.previous) target += "previous=true&";
  if (options.tail >= 0) target += "tail=" + std::to_string(options.tail) + "&";
  if (request.since) target += "since=" + PercentEncode(FormatTime(*request.since)) + "&";
  target.pop_back();
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  if (options.follow) deadline = Deadline::Never();
  ASSIGN_OR_RETURN(auto stream, session.AdminStream({.target = target}, deadline));
  *opened = true;
  if (session.progress()) session.err() << "Read from the node, at " << session.AdminTarget().value_or("?") << ".\n";
  ASSIGN_OR_RETURN(bool any, CopyLines(session, *stream, deadline, options.timestamps));
  if (!any && options.previous) session.err() << "There is no log of an incarnation before this one.\n";
  return OkStatus();
}

// The node behind the admin address; "" when it can't be told.
std::string AdminNode(Session& session) {
  const StatusOr<http::Response> response =
      session.Admin({.target = "/v1/status"}, Deadline::After(std::chrono::seconds(5)));
  const StatusOr<Json> json = response.ok() ? ParseJson(response->body) : StatusOr<Json>(response.status());
  return json.ok() ? GetString(*json, "node") : "";
}

// --- from the store ---

constexpr Duration kStoredByDefault = std::chrono::hours(1);

Status ReadStored(Session& session, const LogsRequest& request, const std::string& why) {
  if (request.options.previous)
    return InvalidArgument("--previous: the store does not know incarnations; ask the node, or use --since");
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  StoredQuery query{.namespace_ = request.namespace_,
                    .server = request.server,
                    .node = request.options.node,
                    .since = request.since.value_or(session.clock().Wall() - kStoredByDefault)};
  const std::string said = "Read from the store" + (why.empty() ? "" : " (" + why + ")") + ", from " +
                           FormatTime(query.since) + (request.since ? "" : ", more with --since") +
                           "; the last minutes may still be on the nodes.\n";
  return PrintStoredLogs(session, *worker,
                         {.query = query,
                          .follow = request.options.follow,
                          .timestamps = request.options.timestamps,
                          .tail = request.options.tail,
                          .said = said});
}

StatusOr<LogsRequest> RequestOf(Session& session, const LogsOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources, kKindServer));
  if (selection.names.size() != 1) return InvalidArgument("one server at a time: mcpctl logs NAME");
  if (!options.since.empty() && !options.since_time.empty())
    return InvalidArgument("--since and --since-time exclude each other");
  if (options.all_nodes && !options.node.empty()) return InvalidArgument("--all-nodes and --node exclude each other");
  LogsRequest request{options, selection.namespace_, selection.names.front(), std::nullopt};
  if (!options.since_time.empty()) {
    ASSIGN_OR_RETURN(request.since, ParseTime(options.since_time));
  }
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const Duration since, ParseDuration(options.since));
    request.since = session.clock().Wall() - since;
  }
  return request;
}

Status RunLogs(Session& session, const LogsOptions& options) {
  ASSIGN_OR_RETURN(const LogsRequest request, RequestOf(session, options));
  bool opened = false;
  if (options.all_nodes) return ReadStored(session, request, "");
  if (!options.node.empty()) {
    ASSIGN_OR_RETURN(const Context context, session.context());
    const bool here = !context.admin.empty() && AdminNode(session) == options.node;
    return here ? ReadLive(session, request, &opened) : ReadStored(session, request, "of node " + options.node);
  }
  const Status live = ReadLive(session, request, &opened);
  // A node that is away, or has no such server, is no answer where another place has the lines.
  const bool elsewhere = live.code() == StatusCode::kUnavailable || live.code() == StatusCode::kDeadlineExceeded ||
                         live.code() == StatusCode::kNotFound || live.code() == StatusCode::kFailedPrecondition;
  if (live.ok() || opened || !elsewhere || options.previous) return live;
  const Status stored = ReadStored(session, request, Message(live));
  // A store that keeps no logs, or is away too: what the node said is what counts.
  return stored.code() == StatusCode::kFailedPrecondition || IsRetryable(stored) ? live : stored;
}

struct EventsOptions {
  std::string server, output, types;
  bool watch = false, all_namespaces = false;
};

// Which of the node's events are meant.
struct EventFilter {
  std::string object;              // the beginning of it: "MCPServer/default/"
  std::vector<std::string> types;  // none: all
  bool Matches(const Event& event) const {
    const bool type = types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& wanted) {
                        return EqualsIgnoreCase(wanted, event.type);
                      });
    return type && event.object.starts_with(object);
  }
};

StatusOr<EventFilter> FilterOf(Session& session, const EventsOptions& options) {
  EventFilter filter;
  for (const std::string& type : Split(options.types, ',')) {
    if (type.empty()) continue;
    if (!EqualsIgnoreCase(type, "Normal") && !EqualsIgnoreCase(type, "Warning"))
      return InvalidArgument("--types " + Printable(type, 40) + "; allowed: Normal, Warning");
    filter.types.push_back(type);
  }
  if (options.server.empty() && !options.all_namespaces) {
    ASSIGN_OR_RETURN(std::string ns, session.Namespace());
    filter.object = std::string(kKindServer) + "/" + ns + "/";
  }
  return filter;
}

void PrintEvent(Table& table, const Event& event, WallTime now) {
  std::string age = FormatAge(now - event.time);
  if (event.count > 1) age += " (x" + std::to_string(event.count) + " over " + FormatAge(now - event.first_time) + ")";
  table.Add({age, event.type, event.reason, event.object, Printable(event.message, 400)});
}

Status RunEvents(Session& session, const EventsOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  if (options.watch && !options.output.empty()) return InvalidArgument("-o and --watch exclude each other");
  ASSIGN_OR_RETURN(EventFilter filter, FilterOf(session, options));
  std::string target = "/v1/events";
  std::string query;
  if (!options.server.empty()) {
    ASSIGN_OR_RETURN(Selection selection, Select(session, {.arguments = {options.server}}, kKindServer));
    query = "server=" + PercentEncode(selection.namespace_ + "/" + selection.names.front());
  }
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(http::Response response,
                   session.Admin({.target = target + (query.empty() ? "" : "?" + query)}, deadline));
  ASSIGN_OR_RETURN(Json json, ParseJson(response.body));
  Table table({"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"});
  std::vector<Json> items;
  for (const Json& item : GetMember(json, "items")) {
    auto event = EventFromJson(item);
    if (!event.ok() || !filter.Matches(*event)) continue;
    PrintEvent(table, *event, session.clock().Wall());
    items.push_back(item);
  }
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, items, true);
  if (table.empty() && !options.watch) session.err() << "No events.\n";
  if (!table.empty()) table.Print(session.out());
  if (!options.watch) return OkStatus();
  session.out() << std::flush;
  target += "?watch=1" + (query.empty() ? "" : "&" + query);
  ASSIGN_OR_RETURN(auto stream, session.AdminStream({.target = target}, Deadline::Never()));
  std::string partial;
  while (session.out().good()) {
    ASSIGN_OR_RETURN(std::string piece, stream->Read(Deadline::Never()));
    if (piece.empty()) break;
    partial += piece;
    for (size_t newline; (newline = partial.find('\n')) != std::string::npos; partial.erase(0, newline + 1)) {
      auto parsed = ParseJson(std::string_view(partial).substr(0, newline));
      if (!parsed.ok()) continue;
      if (auto event = EventFromJson(*parsed); event.ok() && filter.Matches(*event)) {
        Table one({"", "", "", "", ""});
        PrintEvent(one, *event, session.clock().Wall());
        one.Print(session.out(), false);
      }
    }
    session.out() << std::flush;
  }
  return OkStatus();
}

}  // namespace

void RegisterLogs(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("logs", "What a server writes to stderr");
  auto options = std::make_shared<LogsOptions>();
  command->footer(
      "Read from the node while it can be reached, from the store (a Worker) otherwise.\n\n"
      "Examples:\n  mcpctl logs weather --tail 20\n  mcpctl logs weather -f --since 10m\n  mcpctl logs weather "
      "--previous\n  mcpctl logs weather --all-nodes --since 24h\n  mcpctl logs weather --node edge-01");
  AddResourceOptions(*command, &options->resources, false);
  command->add_flag("-f,--follow", options->follow, "go on as lines come");
  command->add_flag("-p,--previous", options->previous, "of the incarnation before this one");
  command->add_flag("--timestamps", options->timestamps, "each line's time");
  command->add_flag("--all-nodes", options->all_nodes, "of every node, from the store, each line with its node");
  command->add_option("--node", options->node, "of this node");
  command->add_option("--since", options->since, "only the last 10m, 1h …");
  command->add_option("--since-time", options->since_time, "only after this time, as 2026-01-31T12:00:00Z");
  command->add_option("--tail", options->tail, "only the last N lines; -1 for all");
  command->callback([options, &session] { session.Finish(RunLogs(session, *options)); });
}

void RegisterEvents(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("events", "What happened on the node lately");
  auto options = std::make_shared<EventsOptions>();
  command->footer(
      "Examples:\n  mcpctl events\n  mcpctl events -A --types Warning\n  mcpctl events --for mcp/weather -w");
  command->add_option("--for", options->server, "only this server");
  command->add_flag("-A,--all-namespaces", options->all_namespaces, "of every namespace");
  command->add_option("--types", options->types, "Normal, Warning or both");
  command->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  command->add_flag("-w,--watch", options->watch, "go on as events come");
  command->callback([options, &session] { session.Finish(RunEvents(session, *options)); });
}

}  // namespace mcpfleet::cli
