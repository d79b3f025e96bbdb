#include "cli/print_stored_logs.h"

#include <algorithm>
#include <deque>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/log_watch.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(2);

class StoredReader {
 public:
  StoredReader(Session& session, WorkerApi& worker, StoredRequest request)
      : session_(session),
        worker_(worker),
        request_(std::move(request)),
        query_(request_.query),
        shown_(query_.since) {}

  Status Run() {
    // With --tail the first look shows only the end of what there is.
    RETURN_IF_ERROR(Look());
    TellMissing();
    if (!request_.follow) return OkStatus();
    ASSIGN_OR_RETURN(const Context context, session_.context());
    LogWatch watch(context, query_);
    std::string told;
    while (session_.Pause(Duration::zero())) {
      watch.Tend(Deadline::After(kLookAgain));
      if (watch.problem() != told && !(told = watch.problem()).empty())
        session_.err() << "lines come late, the store was not told that somebody looks: " << told << "\n";
      if (!told.empty() && !session_.Pause(kLookAgain)) break;
      const Status looked = Look();
      if (!looked.ok() && !IsRetryable(looked)) return looked;
      if (!looked.ok() && !std::exchange(away_, true))
        session_.err() << "the store can't be read now, going on: " << Message(looked) << "\n";
      if (looked.ok()) away_ = false;
    }
    return OkStatus();
  }

 private:
  Status Look() {
    StoredQuery query = query_;
    query.since = shown_.BeginLook();
    std::deque<StoredLine> tail;
    const int64_t most = std::exchange(first_, false) ? request_.tail : -1;
    missing_ = bad_ = 0;
    std::string cursor;
    do {
      ASSIGN_OR_RETURN(const Deadline deadline, session_.RequestDeadline());
      ASSIGN_OR_RETURN(StoredPage page, ReadStoredPage(worker_, query, cursor, deadline));
      session_.err() << std::exchange(request_.said, "");
      missing_ += page.missing;
      bad_ += page.bad;
      for (StoredLine& line : page.lines) {
        if (!shown_.Take(line)) continue;
        if (most < 0) {
          Print(line);
          continue;
        }
        tail.push_back(std::move(line));
        if (static_cast<int64_t>(tail.size()) > most) tail.pop_front();
      }
      session_.out() << std::flush;
      cursor = page.cursor;
    } while (!cursor.empty() && session_.out().good());
    for (const StoredLine& line : tail) Print(line);
    session_.out() << std::flush;
    return OkStatus();
  }

  void Print(const StoredLine& line) {
    if (query_.node.empty()) session_.out() << "[" << Printable(line.node, 63) << "] ";
    if (request_.timestamps) session_.out() << Printable(line.time, 64) << " ";
    session_.out() << line.text << "\n";
    nodes_.insert(line.node);
  }

  // What a person who reads this must know is not there.
  void TellMissing() {
    if (missing_ > 0) session_.err() << "Missing: " << missing_ << " chunks that the store could not read.\n";
    if (bad_ > 0) session_.err() << "Missing: " << bad_ << " rows that are no lines.\n";
    const StatusOr<Deadline> deadline = session_.RequestDeadline();
    if (!deadline.ok()) return;
    const StatusOr<std::vector<NodeStatus>> nodes = ReadNodes(session_, *deadline);
    if (!nodes.ok()) return;  // the lines are what was asked for
    for (const NodeStatus& node : *nodes) {
      if (query_.node.empty() ? !Runs(node) && !nodes_.contains(node.node) : node.node != query_.node) continue;
      const Condition* shipped = FindCondition(node.conditions, "LogsShipped");
      if (shipped == nullptr) {
        session_.err() << "Missing: node " << node.node << " ships no logs.\n";
      } else if (shipped->status != ConditionStatus::kTrue) {
        session_.err() << "Missing: node " << node.node << ": " << Printable(shipped->message, 400) << "\n";
      }
    }
  }
  bool Runs(const NodeStatus& node) const {
    return std::any_of(node.servers.begin(), node.servers.end(), [&](const ServerStatus& server) {
      return server.key == ServerKey{query_.namespace_, query_.server};
    });
  }

  Session& session_;
  WorkerApi& worker_;
  StoredRequest request_;
  const StoredQuery query_;
  ShownLines shown_;
  std::set<std::string> nodes_;  // that had lines
  int64_t missing_ = 0, bad_ = 0;
  bool first_ = true, away_ = false;
};

}  // namespace

Status PrintStoredLogs(Session& session, WorkerApi& worker, StoredRequest request) {
  return StoredReader(session, worker, std::move(request)).Run();
}

}  // namespace mcpfleet::cli
