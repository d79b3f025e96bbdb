// Where a server answers MCP for people and programs: its endpoint at a node's gateway, from the node's status, or a
// URL that was given instead of a name. And the options that every verb over it has.
#pragma once

#include <string>

#include "cli/fleet.h"
#include "cli/session.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

struct GatewayOptions {
  std::string via = "auto";  // auto | gateway | admin
  std::string token_file;
  std::string ca_file;
};
// --token-file and --ca-file. A token is never an argument: those are in everybody's process list.
void AddEndpointOptions(CLI::App& command, GatewayOptions* options);
// Those and --via, for verbs that mcplet's admin API can serve too.
void AddGatewayOptions(CLI::App& command, GatewayOptions* options);
// The first line of --token-file, else MCPCTL_TOKEN, else "".
StatusOr<std::string> ReadToken(const GatewayOptions& options);
// --ca-file, else MCPCTL_CA_FILE, else "": the system's certificates.
std::string CaFileOf(const GatewayOptions& options);

struct ServerEndpoint {
  std::string namespace_, name;  // of a URL: "" and the last but one segment of its path
  std::string url;
  std::string node;     // "" for a URL
  bool is_url = false;  // given as one
  bool local = true;    // false: on the loopback of a node that this machine need not be
};
bool IsUrl(std::string_view text);
// "default/weather", or the URL.
std::string NameOf(const ServerEndpoint& endpoint);
// FailedPrecondition when the server has none now: it says why, and what to do. Asks the node behind the admin address
// where there is one, else reads the statuses in the store.
StatusOr<ServerEndpoint> FindEndpoint(Session& session, const std::string& server, Deadline deadline);
// The choice, pure: the endpoint that a client here should use. `local_admin`: the node behind the admin address is
// this machine, as far as the address tells.
StatusOr<ServerEndpoint> ChooseEndpoint(const std::vector<NodeStatus>& nodes, const ServerKey& key, bool local_admin);

// An error of an endpoint as a person should read it, with the next step; also keeps the context's hints, which are
// about the store and the admin API, away from it.
Status ExplainGatewayError(const Status& status, const ServerEndpoint& endpoint);

}  // namespace mcpfleet::cli
