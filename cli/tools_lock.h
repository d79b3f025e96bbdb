// `mcpctl tools lock` and `mcpctl tools diff`: pins of a server's tools. Both ask the server itself through mcplet's
// admin API: through the gateway they would see only what the pins let through.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "cli/session.h"
#include "crd/tool_pins.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

void RegisterToolPins(CLI::App& tools, Session& session);

// Names and hashes of a list of tools. FailedPrecondition for a tool without a name.
StatusOr<ToolHashes> HashesOf(const Json& tools);
// The pins that hold for exactly these tools. FailedPrecondition when there are none, or when spec.tools.pins can't
// hold them (a name twice, names that are too long, too many).
StatusOr<std::map<std::string, std::string>> PinsFor(const ToolHashes& tools);
// How a definition has changed, as a unified difference of YAML with hidden characters made visible; "" when it is the
// same but for its icons, which no hash covers.
std::string DefinitionDiff(const Json& before, const Json& after, const std::string& before_name,
                           const std::string& after_name, bool color);

}  // namespace mcpfleet::cli
