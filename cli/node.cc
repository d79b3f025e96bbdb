// `mcpctl node`: machines become nodes of the fleet, and stop being ones.
#include <ostream>

#include <CLI/CLI.hpp>

#include "cli/node_verbs.h"
#include "cli/verbs.h"
#include "crd/node_name.h"

namespace mcpfleet::cli {

Status TakeNodeName(Session& session, std::string* name) {
  ASSIGN_OR_RETURN(std::string label, ParseNodeName(*name, "node"));
  if (label != *name) session.err() << *name << " is the node " << label << " of the fleet\n";
  *name = std::move(label);
  return OkStatus();
}

void RegisterNode(CLI::App& root, Session& session) {
  auto* node = root.add_subcommand("node", "Machines of the fleet: enroll, list, accept, revoke, rotate, delete");
  node->require_subcommand(1);
  node->footer(
      "A node has keys of its own, which it makes when it joins. It is given secrets once an operator has accepted "
      "them.\n"
      "These verbs need a store with a Worker in front (docs/cloudflare.md); accept works without one too.\n\n"
      "Examples:\n"
      "  mcpctl node enroll edge-01 --label site=berlin --out edge-01.join --wait\n"
      "  mcpctl node list\n"
      "  mcpctl node accept edge-01\n"
      "  mcpctl node revoke edge-01              it was stolen: nothing more for it, and what it knew\n"
      "  mcpctl node delete edge-01");
  AddNodeEnroll(*node, session);
  AddNodeList(*node, session);
  AddNodeAccept(*node, session);
  AddNodeEnds(*node, session);
}

}  // namespace mcpfleet::cli
