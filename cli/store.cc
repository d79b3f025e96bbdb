#include <ostream>

#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/store_token.h"
#include "cli/table.h"
#include "cli/trust_root.h"
#include "cli/verbs.h"
#include "store/reader.h"
#include "store/writer.h"

namespace mcpfleet::cli {
namespace {

struct StoreOptions {
  std::string path, snapshot;
  size_t keep = 10, snapshots = 10, limit = 20;
  bool dry_run = false, replace_fleet = false, last_seen = false;
};

Status RunGc(Session& session, const StoreOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(GcResult result,
                   Gc(*kv, {.keep_snapshots = options.keep, .dry_run = options.dry_run}, session.clock(), deadline));
  session.out() << result.deleted << (options.dry_run ? " blobs would be deleted, " : " blobs deleted, ") << result.kept
                << " kept\n";
  return OkStatus();
}

Status RunBackup(Session& session, const StoreOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(size_t written, Backup(*kv, options.path, options.snapshots, deadline));
  session.out() << options.path << ": " << written << " values\n";
  return OkStatus();
}

Status RunRestore(Session& session, const StoreOptions& options) {
  if (options.path.empty() != options.last_seen)
    return InvalidArgument("say what: a file that store backup wrote, or --last-seen");
  ASSIGN_OR_RETURN(Context context, session.context());
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  // The new epoch must exceed everything that any node has accepted.
  int64_t epoch = context.seen.epoch;
  ASSIGN_OR_RETURN(std::vector<NodeStatus> nodes, ReadNodes(session, deadline));
  for (const NodeStatus& node : nodes) {
    if (auto order = ParseHeadOrder(node.accepted_head); order.ok()) epoch = std::max(epoch, order->epoch);
  }
  const RestoreOptions restore{.min_epoch = epoch,
                               .replace_fleet = options.replace_fleet,
                               .author = Session::Author(),
                               .sign = session.Signer()};
  StatusOr<Head> head = options.last_seen ? RestoreSeen(*kv, restore, session.clock(), deadline)
                                          : Restore(*kv, options.path, restore, session.clock(), deadline);
  RETURN_IF_ERROR(head.status());
  session.SawHead(head->order);
  session.out() << "restored " << (options.last_seen ? "what was seen last" : options.path) << "; head is "
                << ToString(head->order) << "\n";
  return OkStatus();
}

Status RunHistory(Session& session, const StoreOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(std::vector<HistoryEntry> history, ReadHistory(*kv, options.limit, deadline));
  Table table({"SNAPSHOT", "TIME", "AUTHOR", "MESSAGE"});
  for (const HistoryEntry& entry : history) {
    table.Add({entry.hash.substr(0, 12), entry.snapshot.time, Printable(entry.snapshot.author, 40),
               Printable(entry.snapshot.message, 100)});
  }
  table.Print(session.out());
  return OkStatus();
}

Status RunRollback(Session& session, const StoreOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadTrustedHead(session, ReadFor::kToSign, deadline));
  ASSIGN_OR_RETURN(std::vector<HistoryEntry> history, ReadHistoryFrom(*kv, head ? head->snapshot : "", 1000, deadline));
  std::vector<std::string> found;
  for (const HistoryEntry& entry : history) {
    if (entry.hash.starts_with(options.snapshot)) found.push_back(entry.hash);
  }
  if (options.snapshot.size() < 6 || found.size() != 1) {
    return NotFound("snapshot \"" + Printable(options.snapshot, 70) +
                    "\": " + (found.size() > 1 ? "more than one begins so" : "not in the history") +
                    "; see: mcpctl store history");
  }
  WriteOptions write{
      .message = "roll back to " + found.front().substr(0, 12), .author = Session::Author(), .sign = session.Signer()};
  ASSIGN_OR_RETURN(ApplyResult result, Rollback(*kv, found.front(), write, session.clock(), deadline));
  for (const ObjectChange& change : result.changes) {
    if (change.kind != ChangeKind::kUnchanged) session.out() << NameOf(change.key) << " rolled back\n";
  }
  session.out() << (result.moved ? "head is " + ToString(result.head->order) : std::string("nothing to change"))
                << "\n";
  return OkStatus();
}

}  // namespace

void RegisterStore(CLI::App& root, Session& session) {
  auto options = std::make_shared<StoreOptions>();
  auto* gc = root.add_subcommand("gc", "Delete blobs of the store that no kept snapshot reaches");
  gc->footer(
      "What was written in the last 7 days stays whatever happens.\n\nExamples:\n  mcpctl gc --dry-run\n  mcpctl gc "
      "--keep 50");
  gc->add_option("--keep", options->keep, "snapshots to keep, at least 10");
  gc->add_flag("--dry-run", options->dry_run, "only count");
  gc->callback([options, &session] { session.Finish(RunGc(session, *options)); });

  auto* store = root.add_subcommand("store", "The store as a whole: history, rollback, backup, restore, tokens");
  store->require_subcommand(1);
  store->footer(
      "Examples:\n  mcpctl store history\n  mcpctl store rollback 3f2a91c04b7e\n  mcpctl store backup fleet.backup\n  "
      "mcpctl store restore fleet.backup\n  mcpctl store token create --node edge-02 --out edge-02.token");
  auto* history = store->add_subcommand("history", "The snapshots, newest first");
  history->add_option("--limit", options->limit, "how many");
  history->callback([options, &session] { session.Finish(RunHistory(session, *options)); });
  auto* rollback = store->add_subcommand("rollback", "Make the content of an earlier snapshot the newest");
  rollback->add_option("snapshot", options->snapshot, "its hash or the beginning of it")->required();
  rollback->callback([options, &session] { session.Finish(RunRollback(session, *options)); });
  auto* backup = store->add_subcommand("backup", "Write the desired state and its history to a file");
  backup->add_option("file", options->path, "where to")->required();
  backup->add_option("--snapshots", options->snapshots, "how much history");
  backup->callback([options, &session] { session.Finish(RunBackup(session, *options)); });
  auto* restore = store->add_subcommand("restore", "Bring back a backup; every node follows");
  restore->add_option("file", options->path, "a file that store backup wrote");
  restore->add_flag("--last-seen", options->last_seen,
                    "in a signed fleet whose head somebody replaced: the last one that this context verified");
  restore->add_flag("--replace-fleet", options->replace_fleet, "even over the store of another fleet");
  restore->callback([options, &session] { session.Finish(RunRestore(session, *options)); });
  AddStoreTokens(*store, session);
}

}  // namespace mcpfleet::cli
