#include "cli/uptime.h"

#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/node_verbs.h"
#include "cli/output.h"
#include "cli/resource.h"
#include "cli/span.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/labels.h"
#include "crd/schema.h"

namespace mcpfleet::cli {
namespace {

constexpr std::string_view kNode = "node/", kServer = "server/";

struct UptimeOptions {
  std::string subject, since = "7d", output;
};

struct Row {
  std::string subject;
  int64_t up = 0, known = 0;  // seconds
};

StatusOr<std::vector<Row>> Read(WorkerApi& worker, const UptimeQuery& query, const std::string& since,
                                Deadline deadline) {
  std::vector<Row> rows;
  for (const std::string& subject : query.subjects) {
    ASSIGN_OR_RETURN(
        const WorkerAnswer answer,
        worker.Get("/v1/uptime?subject=" + PercentEncode(subject) + "&since=" + PercentEncode(since), deadline));
    for (const Json& item : answer.result) {
      const Json& uptime = GetMember(item, "uptime");
      Row row{Printable(GetString(item, "subject"), 300), GetInt(uptime, "upSeconds"), GetInt(uptime, "knownSeconds")};
      if (query.Matches(row.subject)) rows.push_back(std::move(row));
    }
  }
  return rows;
}

Status RunUptime(Session& session, const UptimeOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(const Duration since, ParseSpan(options.since));
  if (since < std::chrono::seconds(1)) return InvalidArgument("--since " + options.since + ": at least 1s");
  ASSIGN_OR_RETURN(const std::string default_namespace, session.Namespace());
  ASSIGN_OR_RETURN(const UptimeQuery query, ParseUptimeSubject(options.subject, default_namespace));
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   Read(*worker, query, FormatTime(session.clock().Wall() - since), deadline));
  if (!options.output.empty()) {
    std::vector<Json> objects;
    for (const Row& row : rows)
      objects.push_back({{"subject", row.subject},
                         {"upSeconds", row.up},
                         {"knownSeconds", row.known},
                         {"uptime", PercentUp(row.up, row.known)}});
    return PrintObjects(session.out(), options.output, objects, true);
  }
  Table table({"SUBJECT", "UPTIME", "DOWN", "OBSERVED"});
  for (const Row& row : rows) {
    const auto age = [](int64_t seconds) { return FormatAge(std::chrono::seconds(std::max<int64_t>(seconds, 0))); };
    table.Add({row.subject, PercentUp(row.up, row.known), age(row.known - row.up), age(row.known)});
  }
  if (table.empty()) {
    session.err() << "Nothing is known of that yet\n";
    return OkStatus();
  }
  table.Print(session.out());
  return OkStatus();
}

}  // namespace

bool UptimeQuery::Matches(std::string_view subject) const {
  if (server.name.empty()) return true;
  return subject.ends_with("/" + server.namespace_ + "/" + server.name);
}

StatusOr<UptimeQuery> ParseUptimeSubject(const std::string& text, const std::string& default_namespace) {
  if (text.empty()) return UptimeQuery{{std::string(kNode), std::string(kServer)}, {}};
  if (text.starts_with(kServer)) return UptimeQuery{{text}, {}};
  const size_t slash = text.find('/');
  const std::string kind = slash == std::string::npos ? "node" : text.substr(0, slash);
  const std::string name = slash == std::string::npos ? text : text.substr(slash + 1);
  const KindSchema* schema = Schema::Builtin().Find(kind);
  const bool node = EqualsIgnoreCase(kind, "node") || (schema != nullptr && schema->kind == kKindNode);
  if (!node && (schema == nullptr || schema->kind != kKindServer))
    return InvalidArgument("\"" + Printable(text, 80) +
                           "\" is no subject; allowed: NODE, mcp/NAME, server/NODE/NAMESPACE/NAME");
  if (std::string wrong = CheckName(name); !wrong.empty())
    return InvalidArgument("\"" + Printable(name, 80) + "\": " + wrong);
  if (node) return UptimeQuery{{std::string(kNode) + name}, {}};
  return UptimeQuery{{std::string(kServer)}, {default_namespace, name}};
}

std::string PercentUp(int64_t up_seconds, int64_t known_seconds) {
  if (known_seconds <= 0) return "-";
  // Hundredths of a percent, rounded down.
  const int64_t part = std::clamp<int64_t>(up_seconds, 0, known_seconds) * 10'000 / known_seconds;
  const std::string rest = std::to_string(part % 100);
  return std::to_string(part / 100) + "." + (rest.size() < 2 ? "0" : "") + rest + "%";
}

void RegisterUptime(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("uptime", "How much of a time nodes were there and servers Ready");
  auto options = std::make_shared<UptimeOptions>();
  command->footer(
      "Of the time that the Worker knows of. Time in which a server was meant to be down (suspended, completed, not "
      "placed)\n"
      "counts as neither.\n\n"
      "Examples:\n  mcpctl uptime\n  mcpctl uptime edge-01 --since 30d\n  mcpctl uptime mcp/weather\n"
      "  mcpctl uptime server/edge-01/default/weather -o json");
  command->add_option("subject", options->subject,
                      "NODE, mcp/NAME, or a subject of the Worker's; everything without one");
  command->add_option("--since", options->since, "of the last 12h, 7d …");
  command->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  command->callback([options, &session] { session.Finish(RunUptime(session, *options)); });
}

}  // namespace mcpfleet::cli
