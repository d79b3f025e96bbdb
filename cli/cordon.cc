// `mcpctl cordon|uncordon|drain`: whether a node takes servers, and whether it keeps those that it has.
#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/node_object.h"
#include "cli/span.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(300);

enum class Verb { kCordon, kUncordon, kDrain };

struct CordonOptions {
  ResourceOptions resources;
  std::string timeout = "10m";
  bool wait = true;
};

const char* Done(Verb verb, bool changed) {
  switch (verb) {
    case Verb::kCordon:
      return changed ? "cordoned" : "already cordoned";
    case Verb::kUncordon:
      return changed ? "uncordoned" : "already uncordoned";
    case Verb::kDrain:
      return changed ? "draining" : "already draining";
  }
  return "";
}

void ChangeSpec(Verb verb, Object* node) {
  if (verb == Verb::kUncordon) {
    node->spec.erase("unschedulable");
    node->spec.erase("drain");
    return;
  }
  node->spec["unschedulable"] = true;
  if (verb == Verb::kDrain) node->spec["drain"] = true;
}

// What of a node's servers is still there; "" when nothing, or when it has never reported.
std::string Left(const Fleet& fleet, const std::string& name, WallTime now) {
  for (const NodeStatus& node : fleet.nodes) {
    if (node.node != name || node.servers.empty()) continue;
    if (now - node.heartbeat > kStaleHeartbeat)
      return "the node is silent since " + FormatTime(node.heartbeat) + ", nobody can stop what runs there";
    std::vector<std::string> servers;
    for (const ServerStatus& server : node.servers) servers.push_back(ToString(server.key));
    return std::to_string(servers.size()) + " still there: " + Join(servers, ", ");
  }
  return "";
}

Status AwaitEmpty(Session& session, const std::vector<std::string>& names, Duration timeout) {
  const Deadline end = Deadline::After(timeout);
  const MonoTime begin = session.clock().Now();
  Fleet fleet;
  for (bool first = true;; first = false) {
    ASSIGN_OR_RETURN(const Deadline request, session.RequestDeadline());
    const Status read = RefreshFleet(session, request, &fleet);
    if (!read.ok() && (first || !IsRetryable(read))) return read;
    std::string left;
    size_t open = 0;
    for (const std::string& name : names) {
      const std::string own = read.ok() ? Left(fleet, name, session.clock().Wall()) : Message(read);
      if (own.empty()) continue;
      ++open;
      left += (left.empty() ? "" : "\n  ") + name + ": " + Printable(own, 500);
    }
    if (open == 0) {
      session.ShowProgress("");
      for (const std::string& name : names) session.out() << Described({kKindNode, "", name}) << " drained\n";
      return OkStatus();
    }
    if (end.Expired())
      return DeadlineExceeded("timed out after " + FormatDuration(timeout) + "; the nodes go on draining:\n  " + left);
    session.ShowProgress(std::to_string(names.size() - open) + "/" + std::to_string(names.size()) + " drained, " +
                         FormatAge(session.clock().Now() - begin) + "; " + left);
    if (!session.Pause(std::min(kPoll, end.Left()))) return OkStatus();
  }
}

Status RunCordon(Session& session, const CordonOptions& options, Verb verb) {
  ASSIGN_OR_RETURN(const Duration timeout, ParseSpan(options.timeout));
  ASSIGN_OR_RETURN(const Selection selection, Select(session, options.resources, kKindNode));
  RETURN_IF_ERROR(CheckDeliberate(selection, options.resources));
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
  // Which nodes are meant is decided by what is verified.
  ASSIGN_OR_RETURN(fleet.desired, ReadTrustedState(session, deadline));
  fleet.declared = DeclaredNodes(fleet.desired);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, FindNodes(fleet, selection));
  if (names.empty()) {
    session.err() << "No nodes found\n";
    return OkStatus();
  }
  const char* word = verb == Verb::kCordon ? "cordon" : verb == Verb::kUncordon ? "uncordon" : "drain";
  // A node that only reports is declared by being cordoned; there is nothing to lift from one.
  ASSIGN_OR_RETURN(const ApplyResult result,
                   ChangeNodes(session, names, verb != Verb::kUncordon, std::string(word) + " " + Join(names, ", "),
                               [verb](Object* node) { ChangeSpec(verb, node); }));
  for (const std::string& name : names) {
    const bool changed = std::any_of(result.changes.begin(), result.changes.end(), [&](const ObjectChange& change) {
      return change.key.name == name && change.kind != ChangeKind::kUnchanged;
    });
    session.out() << Described({kKindNode, "", name}) << " " << Done(verb, changed) << "\n";
  }
  if (verb != Verb::kDrain || !options.wait) return OkStatus();
  return AwaitEmpty(session, names, timeout);
}

void AddCordon(CLI::App& root, Session& session, Verb verb, const char* name, const char* what, const char* footer) {
  auto* command = root.add_subcommand(name, what);
  auto options = std::make_shared<CordonOptions>();
  command->footer(footer);
  command->add_option("resource", options->resources.arguments, "NAME… of nodes");
  command->add_option("-l,--selector", options->resources.selector, "label selector: a=b,c!=d,e in (x,y),!f");
  command->add_flag("--all", options->resources.all, "every node");
  if (verb == Verb::kDrain) {
    command->add_flag("--wait,!--no-wait", options->wait, "wait until nothing runs there any more (default)");
    command->add_option("--timeout", options->timeout, "of the waiting");
  }
  command->callback([options, verb, &session] { session.Finish(RunCordon(session, *options, verb)); });
}

}  // namespace

void RegisterCordon(CLI::App& root, Session& session) {
  AddCordon(root, session, Verb::kCordon, "cordon", "Have nodes take no new server",
            "What runs there stays, and follows changes of its manifest.\n\nExamples:\n  mcpctl cordon edge-01");
  AddCordon(root, session, Verb::kUncordon, "uncordon", "Have nodes take servers again",
            "Examples:\n  mcpctl uncordon edge-01");
  AddCordon(
      root, session, Verb::kDrain, "drain", "Cordon nodes and stop what runs on them",
      "Sessions are given the time that each server's updateStrategy.drainTimeout says. The servers come back with "
      "uncordon.\n\nExamples:\n  mcpctl drain edge-01 --timeout 30m\n  mcpctl drain -l site=berlin --no-wait");
}

}  // namespace mcpfleet::cli
