#include "cli/change.h"

#include <ctime>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/labels.h"
#include "store/reader.h"

namespace mcpfleet::cli {

Status ChangeObjects(Session& session, const Selection& selection, const std::string& message,
                     const std::function<Status(Object*)>& change) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  Fleet fleet;
  ASSIGN_OR_RETURN(fleet.desired, ReadState(*kv, deadline));
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

namespace {

struct LabelOptions {
  ResourceOptions resources;
  bool overwrite = false, annotations = false;
};

// Splits "KIND NAME k=v k2-" into what selects and what changes.
Status SplitPairs(LabelOptions* options, Labels* set, std::vector<std::string>* remove) {
  std::vector<std::string> selecting;
  for (const std::string& argument : options->resources.arguments) {
    size_t equals = argument.find('=');
    bool removes = equals == std::string::npos && argument.ends_with('-') && !selecting.empty();
    if (equals == std::string::npos && !removes) {
      selecting.push_back(argument);
      continue;
    }
    std::string key = removes ? argument.substr(0, argument.size() - 1) : argument.substr(0, equals);
    std::string value = removes ? "" : argument.substr(equals + 1);
    std::string wrong = CheckLabelKey(key);
    if (wrong.empty() && !options->annotations) wrong = CheckLabelValue(value);
    if (!wrong.empty()) return InvalidArgument("\"" + Printable(argument, 80) + "\": " + wrong);
    if (removes) remove->push_back(key);
    else (*set)[key] = value;
  }
  options->resources.arguments = selecting;
  if (set->empty() && remove->empty()) return InvalidArgument("say what to change: KEY=VALUE, or KEY- to remove");
  return OkStatus();
}

Status RunLabel(Session& session, LabelOptions options) {
  Labels set;
  std::vector<std::string> remove;
  RETURN_IF_ERROR(SplitPairs(&options, &set, &remove));
  ASSIGN_OR_RETURN(Selection selection, Select(session, options.resources));
  return ChangeObjects(session, selection, options.annotations ? "annotate" : "label", [&](Object* object) -> Status {
    Labels& labels = options.annotations ? object->metadata.annotations : object->metadata.labels;
    for (const auto& [key, value] : set) {
      auto it = labels.find(key);
      if (it != labels.end() && it->second != value && !options.overwrite) {
        return FailedPrecondition(Described(KeyOf(*object)) + ": " + key + " is \"" + it->second + "\" already; --overwrite replaces it");
      }
      labels[key] = value;
    }
    for (const std::string& key : remove) labels.erase(key);
    return OkStatus();
  });
}

void AddLabelCommand(CLI::App& root, Session& session, bool annotations) {
  auto* command = root.add_subcommand(annotations ? "annotate" : "label", annotations ? "Set or remove annotations" : "Set or remove labels");
  auto options = std::make_shared<LabelOptions>();
  options->annotations = annotations;
  command->footer(annotations ? "Examples:\n  mcpctl annotate mcp/weather owner=ops" : "Examples:\n  mcpctl label mcp/weather tier=gold --overwrite\n  mcpctl label mcp -l app=shop tier-");
  AddResourceOptions(*command, &options->resources, false);
  command->add_flag("--overwrite", options->overwrite, "replace values that are there");
  command->callback([options, &session] { session.Finish(RunLabel(session, *options)); });
}

void AddSuspendCommand(CLI::App& root, Session& session, bool suspend) {
  auto* command = root.add_subcommand(suspend ? "suspend" : "resume", suspend ? "Stop servers without deleting them" : "Run suspended servers again");
  auto options = std::make_shared<ResourceOptions>();
  command->footer(suspend ? "Examples:\n  mcpctl suspend weather" : "Examples:\n  mcpctl resume weather");
  AddResourceOptions(*command, options.get(), false);
  command->callback([options, suspend, &session] {
    session.Finish([&]() -> Status {
      ASSIGN_OR_RETURN(Selection selection, Select(session, *options, kKindServer));
      if (selection.names.empty() && selection.selector.empty()) return InvalidArgument("say which: names or --selector");
      return ChangeObjects(session, selection, suspend ? "suspend" : "resume", [&](Object* object) {
        if (suspend) object->spec["suspend"] = true;
        else object->spec.erase("suspend");
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
