// Small decisions of the admin API, apart from its sockets: who may ask, which path means what, how an error looks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"
#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet::admin {

// {"error":{"code":"NotFound","message":"…"}}
http::Response ErrorResponse(const Status& status);
http::Response ErrorResponse(int http_status, std::string_view code, std::string_view message);

// Host (with or without a port) or Origin ("http://127.0.0.1:8701") that names this machine's loopback.
bool IsLoopbackHost(std::string_view host);
bool IsLoopbackOrigin(std::string_view origin);

// Whether a request that came by TCP may be served: OK, PermissionDenied (Host, Origin) or Unauthenticated (token).
Status Admit(const http::Request& request, std::string_view token, bool needs_token);

// The path's segments, decoded. nullopt when an escape is malformed.
std::optional<std::vector<std::string>> Segments(std::string_view path);

// "ns/name".
StatusOr<ServerKey> ParseServerKey(std::string_view text);

// "1", "true" or a parameter without a value.
bool IsSet(const http::Request& request, std::string_view parameter);

// The token in `path`; makes the file with a new one when it is absent. FailedPrecondition when others can read it.
StatusOr<std::string> LoadOrMakeToken(const std::string& path);

}  // namespace mcpfleet::admin
