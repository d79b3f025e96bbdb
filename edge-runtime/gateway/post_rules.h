// What a POST must look like before its message goes anywhere: pure checks, in the order in which clients of both eras
// expect their answers (specification 2025-11-25, basic/transports; 2026-07-28, basic/transports/streamable-http).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/http/message.h"
#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/translation.h"

namespace mcpfleet::gateway {

inline constexpr int64_t kInvalidRequest = -32600;
inline constexpr int64_t kParseError = -32700;
inline constexpr int64_t kServerError = -32000;  // what the SDKs of the legacy era use for transport errors
inline constexpr int64_t kSessionNotFound = -32001;

// Why a request is refused. `body` is a whole JSON-RPC error.
struct Rejection {
  int status = 400;
  std::string body;
  std::string reason;  // one word for metrics
};

// Whether Accept lists the media type (or what includes it).
bool Accepts(const http::Headers& headers, std::string_view type);
// Content-Type (415).
std::optional<Rejection> CheckContentType(const http::Headers& headers);
// Accept (406) and Content-Type (415).
std::optional<Rejection> CheckMediaTypes(const http::Headers& headers);
// Whether MCP-Protocol-Version names 2026-07-28 or a later revision.
bool NamesModernEra(const http::Headers& headers);
// The era in which a message must be treated.
bool IsModernRequest(const http::Headers& headers, const Incoming& message);
// A legacy client's MCP-Protocol-Version, when it sent one.
std::optional<Rejection> CheckLegacyVersion(const http::Headers& headers);
// Headers against the body, _meta, version, method. `meta`: of the message.
std::optional<Rejection> CheckModernRequest(const http::Headers& headers, const Incoming& message,
                                            const ModernMeta& meta);
// The value of Mcp-Name or Mcp-Param-*: plain, or "=?base64?…?="; nullopt when it is neither.
std::optional<std::string> DecodeHeaderValue(std::string_view value);

}  // namespace mcpfleet::gateway
