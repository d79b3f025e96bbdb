// `mcpctl syncs`: what each `mcplet sync` of the fleet says of its last commit.
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "gitops/sync_status.h"

namespace mcpfleet::cli {
namespace {

// Neither its host nor anybody else will report any more.
constexpr int kMissedReports = 3;

struct SyncsOptions {
  std::string name, output;
};

std::string ReadyOf(const SyncStatus& sync, WallTime now) {
  const Condition* ready = FindCondition(sync.conditions, "Ready");
  if (now - sync.reported_at > kMissedReports * kSyncReportInterval + sync.interval) return "Unknown";
  return ready == nullptr ? "Unknown" : ToString(ready->status);
}

std::string Age(WallTime time, WallTime now) { return time == WallTime{} ? "-" : FormatAge(now - time); }

Status RunSyncs(Session& session, const SyncsOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"wide", "json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(KvClient * kv, session.State());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(std::vector<SyncStatus> syncs, ReadSyncStatuses(*kv, deadline));
  if (!options.name.empty()) std::erase_if(syncs, [&](const SyncStatus& sync) { return sync.name != options.name; });
  if (!options.name.empty() && syncs.empty()) return NotFound("no sync " + Printable(options.name, 80) + " reports");
  const WallTime now = session.clock().Wall();
  if (!options.output.empty() && options.output != "wide") {
    std::vector<Json> objects;
    for (const SyncStatus& sync : syncs) objects.push_back(SyncStatusToJson(sync));
    return PrintObjects(session.out(), options.output, objects, options.name.empty());
  }
  if (syncs.empty()) {
    session.err() << "no sync reports to this store; see mcplet sync --help\n";
    return OkStatus();
  }
  std::vector<std::string> columns = {"NAME", "READY", "STATUS", "COMMIT", "APPLIED", "SIGNER"};
  if (options.output == "wide") columns.insert(columns.end(), {"BRANCH", "PATH", "URL", "MESSAGE"});
  Table table(columns);
  for (const SyncStatus& sync : syncs) {
    const Condition* ready = FindCondition(sync.conditions, "Ready");
    std::vector<std::string> row = {sync.name,
                                    ReadyOf(sync, now),
                                    ready == nullptr ? "-" : ready->reason,
                                    sync.applied.id.empty() ? "-" : sync.applied.id.substr(0, 12),
                                    Age(sync.applied_at, now),
                                    sync.applied.signer.empty() ? "-" : Printable(sync.applied.signer, 60)};
    if (options.output == "wide") {
      row.insert(row.end(), {sync.branch, sync.path, Printable(sync.url, 120),
                             ready == nullptr ? "-" : Printable(ready->message, 160)});
    }
    table.Add(row);
  }
  table.Print(session.out());
  return OkStatus();
}

}  // namespace

void RegisterSyncs(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("syncs", "What each `mcplet sync` of the fleet applied last");
  auto options = std::make_shared<SyncsOptions>();
  command->footer(
      "Examples:\n  mcpctl syncs\n  mcpctl syncs fleet -o yaml\n"
      "  mcpctl syncs fleet -o jsonpath='{.status.applied.commit}'");
  command->add_option("name", options->name, "only this one: the apply set that it owns");
  command->add_option("-o,--output", options->output, "wide, json, yaml or jsonpath=EXPRESSION");
  command->callback([options, &session] { session.Finish(RunSyncs(session, *options)); });
}

}  // namespace mcpfleet::cli
