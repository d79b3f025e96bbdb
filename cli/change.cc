#include "cli/change.h"

#include <ctime>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/labels.h"
#include "store/reader.h"

namespace mcpfleet::cli {

Status ChangeObjects(Session& session, const Selection& selection, const std::string& message,
                     const std::function<Status(Object*)>& change) {
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  Fleet fleet;
  ASSIGN_OR_RETURN(fleet.desired, ReadTrustedState(session, deadline));
  ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
  ChangeSet changes;
  for (const Object* object : objects) {
    Object changed = *object;
    RETURN_IF_ERROR(change(&changed));
    changes.set.push_back(std::move(changed));
  }
  if (changes.set.empty()) {
    session.err() << "No resources found\n";
    return OkStatus();
  }
  return WriteChanges(session, changes, message, false).status();
}

StatusOr<PairChange> SplitPairs(const std::vector<std::string>& arguments, bool annotations) {
  PairChange change;
  for (const std::string& argument : arguments) {
    size_t equals = argument.find('=');
    bool removes = equals == std::string::npos && argument.ends_with('-') && !change.selecting.empty();
    if (equals == std::string::npos && !removes) {
      change.selecting.push_back(argument);
      continue;
    }
    std::string key = removes ? argument.substr(0, argument.size() - 1) : argument.substr(0, equals);
    std::string value = removes ? "" : argument.substr(equals + 1);
    std::string wrong = CheckLabelKey(key);
    if (wrong.empty() && !annotations) wrong = CheckLabelValue(value);
    if (!wrong.empty()) return InvalidArgument("\"" + Printable(argument, 80) + "\": " + wrong);
    if (removes)
      change.remove.push_back(key);
    else
      change.set[key] = value;
  }
  if (change.set.empty() && change.remove.empty())
    return InvalidArgument("say what to change: KEY=VALUE, or KEY- to remove");
  for (const std::string& key : change.remove) {
    if (change.set.count(key) != 0) return InvalidArgument("\"" + key + "\" can't be set and removed at once");
  }
  return change;
}

namespace {

struct LabelOptions {
  ResourceOptions resources;
  bool overwrite = false, annotations = false, list = false;
};

// What the objects have, and nothing is changed.
Status ListPairs(Session& session, const LabelOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  Fleet fleet;
  ASSIGN_OR_RETURN(fleet.desired, ReadState(*kv, deadline));
  ASSIGN_OR_RETURN(std::vector<const Object*> objects, Find(fleet, selection));
  for (const Object* object : objects) {
    if (objects.size() > 1) session.out() << Described(KeyOf(*object)) << "\n";
    for (const auto& [key, value] : options.annotations ? object->metadata.annotations : object->metadata.labels)
      session.out() << (objects.size() > 1 ? "  " : "") << key << "=" << value << "\n";
  }
  return OkStatus();
}

Status RunLabel(Session& session, LabelOptions options) {
  if (options.list) return ListPairs(session, options);
  ASSIGN_OR_RETURN(PairChange pairs, SplitPairs(options.resources.arguments, options.annotations));
  options.resources.arguments = pairs.selecting;
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  RETURN_IF_ERROR(CheckDeliberate(selection, options.resources));
  return ChangeObjects(session, selection, options.annotations ? "annotate" : "label", [&](Object* object) -> Status {
    Labels& labels = options.annotations ? object->metadata.annotations : object->metadata.labels;
    for (const auto& [key, value] : pairs.set) {
      auto it = labels.find(key);
      if (it != labels.end() && it->second != value && !options.overwrite) {
        return FailedPrecondition(Described(KeyOf(*object)) + ": " + key + " is \"" + it->second +
                                  "\" already; --overwrite replaces it");
      }
      labels[key] = value;
    }
    for (const std::string& key : pairs.remove) labels.erase(key);
    return OkStatus();
  });
}

void AddLabelCommand(CLI::App& root, Session& session, bool annotations) {
  auto* command = root.add_subcommand(annotations ? "annotate" : "label",
                                      annotations ? "Set or remove annotations" : "Set or remove labels");
  auto options = std::make_shared<LabelOptions>();
  options->annotations = annotations;
  command->footer(
      annotations
          ? "Examples:\n  mcpctl annotate mcp/weather owner=ops"
          : "Examples:\n  mcpctl label mcp/weather tier=gold --overwrite\n  mcpctl label mcp -l app=shop tier-");
  AddResourceOptions(*command, &options->resources, true);
  AddAllOption(*command, &options->resources);
  command->add_flag("--overwrite", options->overwrite, "replace values that are there");
  command->add_flag("--list", options->list, "print what is there and change nothing");
  command->callback([options, &session] { session.Finish(RunLabel(session, *options)); });
}

void AddSuspendCommand(CLI::App& root, Session& session, bool suspend) {
  auto* command = root.add_subcommand(suspend ? "suspend" : "resume",
                                      suspend ? "Stop servers without deleting them" : "Run suspended servers again");
  auto options = std::make_shared<ResourceOptions>();
  command->footer(suspend ? "Examples:\n  mcpctl suspend weather" : "Examples:\n  mcpctl resume weather");
  AddResourceOptions(*command, options.get(), true);
  AddAllOption(*command, options.get());
  command->callback([options, suspend, &session] {
    session.Finish([&]() -> Status {
      ASSIGN_OR_RETURN(Selection selection, Select(session, *options, kKindServer));
      RETURN_IF_ERROR(CheckDeliberate(selection, *options));
      return ChangeObjects(session, selection, suspend ? "suspend" : "resume", [&](Object* object) {
        if (suspend)
          object->spec["suspend"] = true;
        else
          object->spec.erase("suspend");
        return OkStatus();
      });
    }());
  });
}

}  // namespace

void RegisterLabel(CLI::App& root, Session& session) {
  AddLabelCommand(root, session, false);
  AddLabelCommand(root, session, true);
}

void RegisterSuspend(CLI::App& root, Session& session) {
  AddSuspendCommand(root, session, true);
  AddSuspendCommand(root, session, false);
}

}  // namespace mcpfleet::cli
