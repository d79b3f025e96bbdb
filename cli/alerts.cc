// `mcpctl alerts`: what is wrong with the fleet, as the Worker sees it.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/node_verbs.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct AlertsOptions {
  bool all = false;
  std::string output;
};

std::string Ago(const std::string& time, WallTime now) {
  const StatusOr<WallTime> at = ParseTime(time);
  return at.ok() ? FormatAge(now - *at) : "-";
}

Status RunAlerts(Session& session, const AlertsOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const WorkerAnswer answer,
                   worker->Get(options.all ? "/v1/alerts?all=true" : "/v1/alerts", deadline));
  std::vector<Json> alerts;
  for (const Json& row : answer.result) {
    Json alert;
    for (const char* member : {"kind", "subject", "severity", "message"})
      alert[member] = Printable(GetString(row, member), 1000);
    alert["raised"] = TimeOfMillis(GetMember(row, "raised"));
    const std::string cleared = TimeOfMillis(GetMember(row, "cleared"));
    if (!cleared.empty()) alert["cleared"] = cleared;
    alerts.push_back(std::move(alert));
  }
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, alerts, true);
  if (alerts.empty()) {
    session.err() << (options.all ? "No alerts.\n" : "No alerts now; those that are over: mcpctl alerts --all\n");
    return OkStatus();
  }
  std::vector<std::string> headers{"RAISED", "SEVERITY", "KIND", "SUBJECT", "MESSAGE"};
  if (options.all) headers.insert(headers.begin() + 1, "CLEARED");
  Table table(headers);
  const WallTime now = session.clock().Wall();
  for (const Json& alert : alerts) {
    std::vector<std::string> row{Ago(GetString(alert, "raised"), now), GetString(alert, "severity"),
                                 GetString(alert, "kind"), GetString(alert, "subject"),
                                 Printable(GetString(alert, "message"), 300)};
    if (options.all) row.insert(row.begin() + 1, Ago(GetString(alert, "cleared"), now));
    table.Add(std::move(row));
  }
  table.Print(session.out());
  return OkStatus();
}

}  // namespace

void RegisterAlerts(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("alerts", "What is wrong with the fleet now, as the Worker sees it");
  auto options = std::make_shared<AlertsOptions>();
  command->footer(
      "Nodes that are offline or cloned, servers that are not Ready or crash, violated tool pins, tokens near their "
      "end\n"
      "(docs/cloudflare-protocol.md). The times are how long ago.\n\n"
      "Examples:\n  mcpctl alerts\n  mcpctl alerts --all\n  mcpctl alerts -o jsonpath='{.items[*].subject}'");
  command->add_flag("--all", options->all, "those that are over too");
  command->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  command->callback([options, &session] { session.Finish(RunAlerts(session, *options)); });
}

}  // namespace mcpfleet::cli
