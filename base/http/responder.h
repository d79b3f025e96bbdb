// The handler's side of a request: Responder, StreamWriter and WebSocket over a Session. Private to base/http.
#pragma once

#include <memory>

#include "base/http/session.h"

namespace mcpfleet::http {

// core, session: shared with the loop; whoever holds the Responder keeps them alive.
std::shared_ptr<Responder> MakeResponder(std::shared_ptr<ServerCore> core, std::shared_ptr<Session> session,
                                         Session::Exchange exchange);

}  // namespace mcpfleet::http
