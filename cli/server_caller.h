// A server's MCP methods, wherever a call has to go: through the gateway of its node, as any client, or through
// mcplet's admin API, which asks the server itself and needs no token.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "cli/gateway.h"
#include "cli/session.h"

namespace mcpfleet::cli {

class ServerCaller {
 public:
  // `server`: NAME, mcp/NAME or a URL. With --via auto the gateway is used where an endpoint can be reached from here,
  // else the admin API.
  static StatusOr<std::unique_ptr<ServerCaller>> Open(Session& session, const std::string& server,
                                                      const GatewayOptions& options, Deadline deadline);
  virtual ~ServerCaller() = default;

  // Cancelled after Ctrl-C.
  virtual StatusOr<Json> Call(const std::string& method, const Json& params, Deadline deadline) = 0;
  // All pages.
  virtual StatusOr<Json> List(const std::string& method, const std::string& member, Deadline deadline) = 0;
};

// session.Finish with the exit code of an interrupted program where that is what happened.
void FinishCall(Session& session, const Status& status);

}  // namespace mcpfleet::cli
