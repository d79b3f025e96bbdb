#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "cli/apply.h"
#include "cli/fleet.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

// How often the statuses are read while waiting: a read of the nodes' keys, cheap beside what is waited for.
constexpr Duration kPoll = std::chrono::milliseconds(300);

// A node's conditions are its own; those of one that is silent say nothing.
std::string UnmetOnNode(const Fleet& fleet, const WaitTarget& target, WallTime now) {
  for (const NodeStatus& node : fleet.nodes) {
    if (node.node != target.key.name) continue;
    if (now - node.heartbeat > kStaleHeartbeat)
      return "NodeSilent: the last heartbeat is from " + FormatTime(node.heartbeat);
    const Condition* condition = FindConditionAnyCase(node.conditions, target.condition);
    if (condition == nullptr) return "NotReported: the node reports no condition " + target.condition;
    if (EqualsIgnoreCase(ToString(condition->status), target.status)) return "";
    return condition->reason + (condition->message.empty() ? "" : ": " + condition->message);
  }
  return "NotReported: the node has never reported";
}

// "" when the target holds, else why not.
std::string Unmet(const Fleet& fleet, const WaitTarget& target, WallTime now) {
  auto it = fleet.desired.objects.find(target.key);
  if (target.gone) {
    Object absent{.kind = target.key.kind, .metadata = {.name = target.key.name, .namespace_ = target.key.namespace_}};
    ServerView view = ViewOf(fleet, it == fleet.desired.objects.end() ? absent : it->second, now);
    if (it != fleet.desired.objects.end()) return "is still desired";
    if (target.key.kind == kKindSecret) return "";
    for (const auto& on : view.nodes) {
      if (!on.stale && on.reported) return "still runs on " + on.node->node;
    }
    return "";
  }
  if (target.key.kind == kKindNode) return UnmetOnNode(fleet, target, now);
  if (it == fleet.desired.objects.end()) return "does not exist";
  const ServerView view = ViewOf(fleet, it->second, now);
  const Condition condition = Merged(view, target.condition);
  return EqualsIgnoreCase(ToString(condition.status), target.status) ? "" : Unmet(view, condition);
}

Status TimedOut(const std::vector<WaitTarget>& targets, const std::vector<std::string>& why, Duration timeout) {
  std::string left, name;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (why[i].empty()) continue;
    left += "\n  " + Described(targets[i].key) + ": " + Printable(why[i], 500);
    if (name.empty()) name = targets[i].key.name;
  }
  return DeadlineExceeded("timed out after " + FormatDuration(timeout) + "; not met:" + left +
                          "\nlook further: mcpctl describe mcp " + name + ", mcpctl logs " + name);
}

struct WaitOptions {
  ResourceOptions resources;
  std::string what, timeout = "30s";
};

Status RunWait(Session& session, const WaitOptions& options) {
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options.timeout));
  WaitTarget pattern;
  if (options.what == "delete") {
    pattern.gone = true;
  } else if (std::string_view rest = options.what; rest.starts_with("condition=")) {
    rest.remove_prefix(10);
    size_t equals = rest.find('=');
    pattern.condition = rest.substr(0, equals);
    if (equals != std::string_view::npos) pattern.status = rest.substr(equals + 1);
  } else {
    return InvalidArgument("--for=" + options.what + "; allowed: condition=NAME, condition=NAME=False, delete");
  }
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  if (selection.kind == kKindSecret && !pattern.gone)
    return InvalidArgument("secrets have no conditions; wait for the servers that use them");
  std::vector<WaitTarget> targets;
  if (pattern.gone && !selection.names.empty()) {
    for (const std::string& name : selection.names) {
      targets.push_back(pattern);
      targets.back().key = {selection.kind, selection.namespace_, name};
    }
  } else {
    ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
    ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
    std::vector<ObjectKey> keys;
    if (selection.kind == kKindNode) {
      ASSIGN_OR_RETURN(std::vector<std::string> names, FindNodes(fleet, selection));
      for (const std::string& name : names) keys.push_back({kKindNode, "", name});
    } else {
      ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
      for (const Object* object : objects) keys.push_back(KeyOf(*object));
    }
    for (const ObjectKey& key : keys) {
      targets.push_back(pattern);
      targets.back().key = key;
    }
  }
  if (targets.empty() && pattern.gone) return OkStatus();
  if (targets.empty()) return NotFound("no object matches, so there is nothing to wait for");
  return WaitFor(session, targets, timeout);
}

}  // namespace

Status WaitFor(Session& session, const std::vector<WaitTarget>& targets, Duration timeout) {
  Deadline end = Deadline::After(timeout);
  MonoTime begin = session.clock().Now();
  std::vector<std::string> why(targets.size());  // "": met
  std::fill(why.begin(), why.end(), "not looked at yet");
  Fleet fleet;
  for (bool first = true;; first = false) {
    ASSIGN_OR_RETURN(Deadline request, session.RequestDeadline());
    Status read = RefreshFleet(session, request, &fleet);
    // A store that restarts meanwhile is no reason to give up.
    if (!read.ok() && (first || !IsRetryable(read))) return read;
    size_t open = 0;
    std::string waiting;
    for (size_t i = 0; i < targets.size(); ++i) {
      if (why[i].empty()) continue;
      std::string unmet = read.ok() ? Unmet(fleet, targets[i], session.clock().Wall()) : Message(read);
      if (unmet.empty()) {
        session.ShowProgress("");
        session.out() << Described(targets[i].key) << (targets[i].gone ? " gone" : " condition met") << "\n"
                      << std::flush;
      } else {
        if (++open == 1) waiting = targets[i].key.name + ": " + unmet;
        if (unmet != why[i] && !session.progress())
          session.err() << Described(targets[i].key) << ": " << Printable(unmet, 300) << "\n" << std::flush;
      }
      why[i] = unmet;
    }
    if (open == 0) return OkStatus();
    if (end.Expired()) return TimedOut(targets, why, timeout);
    session.ShowProgress(std::to_string(targets.size() - open) + "/" + std::to_string(targets.size()) + " done, " +
                         FormatAge(session.clock().Now() - begin) + "; " + waiting);
    if (!session.Pause(std::min(kPoll, end.Left()))) return OkStatus();
  }
}

void RegisterWait(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("wait", "Wait until servers have a condition, or are gone");
  auto options = std::make_shared<WaitOptions>();
  command->footer(
      "Examples:\n"
      "  mcpctl wait mcp/weather --for=condition=Ready --timeout 2m\n"
      "  mcpctl wait --for=condition=Ready mcp --all\n"
      "  mcpctl wait mcp -l app=shop --for=condition=Ready\n"
      "  mcpctl wait mcp/weather --for=delete");
  AddResourceOptions(*command, &options->resources, true);
  AddAllOption(*command, &options->resources);
  command->add_option("--for", options->what, "condition=NAME[=STATUS] or delete")->required();
  command->add_option("--timeout", options->timeout, "how long at most");
  command->callback([options, &session] { session.Finish(RunWait(session, *options)); });
}

}  // namespace mcpfleet::cli
