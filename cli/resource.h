// What the arguments of a verb select: "mcp", "mcp weather clock", "mcp/weather mcp/clock", "mcpnodes", with -n, -A,
// -l.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/session.h"
#include "crd/labels.h"
#include "crd/object.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

struct ResourceOptions {
  std::vector<std::string> arguments;
  std::string selector;  // -l
  bool all_namespaces = false;
  bool all = false;  // --all: every object of the kind, said on purpose
};
// Adds the positional arguments, -l and, for verbs over many objects, -A.
void AddResourceOptions(CLI::App& command, ResourceOptions* options, bool many);
// --all, for verbs that would do harm if a forgotten name meant every object.
void AddAllOption(CLI::App& command, ResourceOptions* options);

struct Selection {
  std::string kind = kKindServer;
  std::string namespace_;          // "" for all (or cluster-scoped kinds)
  std::vector<std::string> names;  // empty: every one that the selector matches
  LabelSelector selector;

  bool Matches(const Object& object) const;
};

// InvalidArgument names the kinds there are. A verb over one kind only passes it in `only_kind` and then takes bare
// names too ("mcpctl logs weather").
StatusOr<Selection> Select(Session& session, const ResourceOptions& options, std::string_view only_kind = "");
// Refuses a selection that means every object although neither a selector nor --all says so.
Status CheckDeliberate(const Selection& selection, const ResourceOptions& options);
// "mcpserver.mcpfleet.dev/weather": how verbs name what they did.
std::string Described(const ObjectKey& key);
// "default/weather", "edge-01".
std::string NameOf(const ObjectKey& key);

}  // namespace mcpfleet::cli
