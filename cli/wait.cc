#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>
#include <poll.h>

#include "base/strings.h"
#include "cli/apply.h"
#include "cli/fleet.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

// How often the statuses are read while waiting: a read of the nodes' keys, cheap beside what is waited for.
constexpr Duration kPoll = std::chrono::milliseconds(300);

// "" when the target holds, else why not.
std::string Unmet(const Fleet& fleet, const WaitTarget& target, WallTime now) {
  auto it = fleet.desired.objects.find(target.key);
  if (target.gone) {
    Object absent{.kind = target.key.kind, .metadata = {.name = target.key.name, .namespace_ = target.key.namespace_}};
    ServerView view = ViewOf(fleet, it == fleet.desired.objects.end() ? absent : it->second, now);
    if (it != fleet.desired.objects.end()) return "is still desired";
    for (const auto& on : view.nodes) {
      if (!on.stale) return "still runs on " + on.node->node;
    }
    return "";
  }
  if (it == fleet.desired.objects.end()) return "does not exist";
  Condition condition = Merged(ViewOf(fleet, it->second, now), target.condition);
  if (EqualsIgnoreCase(ToString(condition.status), target.status)) return "";
  return condition.reason + (condition.message.empty() ? "" : ": " + condition.message);
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
  std::vector<WaitTarget> targets;
  if (pattern.gone) {
    for (const std::string& name : selection.names) {
      targets.push_back(pattern);
      targets.back().key = {selection.kind, selection.namespace_, name};
    }
  } else {
    ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
    ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
    ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
    for (const Object* object : objects) {
      targets.push_back(pattern);
      targets.back().key = KeyOf(*object);
    }
  }
  if (targets.empty()) return NotFound("no object matches, so there is nothing to wait for");
  return WaitFor(session, targets, timeout);
}

}  // namespace

Status WaitFor(Session& session, const std::vector<WaitTarget>& targets, Duration timeout) {
  Deadline end = Deadline::After(timeout);
  std::vector<bool> met(targets.size(), false);
  std::vector<std::string> why(targets.size());
  for (;;) {
    ASSIGN_OR_RETURN(Deadline request, session.RequestDeadline());
    ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, request));
    size_t open = 0;
    for (size_t i = 0; i < targets.size(); ++i) {
      if (met[i]) continue;
      std::string unmet = Unmet(fleet, targets[i], session.clock().Wall());
      if (unmet.empty()) {
        met[i] = true;
        session.out() << Described(targets[i].key) << (targets[i].gone ? " gone" : " condition met") << "\n" << std::flush;
        continue;
      }
      ++open;
      if (unmet != why[i]) session.err() << Described(targets[i].key) << ": " << Printable(unmet, 300) << "\n" << std::flush;
      why[i] = unmet;
    }
    if (open == 0) return OkStatus();
    if (end.Expired()) {
      std::string left;
      for (size_t i = 0; i < targets.size(); ++i) {
        if (!met[i]) left += "\n  " + Described(targets[i].key) + ": " + Printable(why[i], 500);
      }
      return DeadlineExceeded("timed out after " + FormatDuration(timeout) + "; not met:" + left +
                              "\nlook further: mcpctl describe mcp/NAME, mcpctl logs NAME");
    }
    poll(nullptr, 0, end.AtMost(kPoll).PollMillis());
  }
}

void RegisterWait(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("wait", "Wait until servers have a condition, or are gone");
  auto options = std::make_shared<WaitOptions>();
  command->footer(
      "Examples:\n"
      "  mcpctl wait mcp/weather --for=condition=Ready --timeout 2m\n"
      "  mcpctl wait mcp -l app=shop --for=condition=Ready\n"
      "  mcpctl wait mcp/weather --for=delete");
  AddResourceOptions(*command, &options->resources, true);
  command->add_option("--for", options->what, "condition=NAME[=STATUS] or delete")->required();
  command->add_option("--timeout", options->timeout, "how long at most");
  command->callback([options, &session] { session.Finish(RunWait(session, *options)); });
}

}  // namespace mcpfleet::cli
