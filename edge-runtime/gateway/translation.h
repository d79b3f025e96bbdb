// What changes in a message between the eras: pure functions over texts. Rules: specification 2026-07-28,
// basic/versioning, and docs/decisions (what a gateway must do where the two do not meet).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/gateway/lane.h"

namespace mcpfleet::gateway {

inline constexpr std::string_view kMetaVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kMetaCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kMetaClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kMetaServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kMetaSubscription = "io.modelcontextprotocol/subscriptionId";

// What a modern request says of itself in params._meta; all raw tokens, "" when absent.
struct ModernMeta {
  std::string version;  // decoded
  std::string capabilities, client_info, log_level;
};
ModernMeta ReadModernMeta(std::string_view text, const mcp::Envelope& envelope);
// Whether a client declared a capability ("sampling", "elicitation", "roots"); `capabilities` is a raw object.
bool Declares(std::string_view capabilities, std::string_view name);

// Methods of the legacy era that 2026-07-28 took away.
bool IsRemovedInModern(std::string_view method);
// Whether results of this method must carry ttlMs and cacheScope.
bool IsCacheable(std::string_view method);

// --- a modern client before a legacy server

// Takes what belongs to the modern era out of params._meta.
std::vector<mcp::Edit> StripModernMeta(std::string_view text, const mcp::Envelope& envelope);
// A request as a legacy server may see it: without that, and without what it would misunderstand (`task`, answers to
// no question).
Incoming ForLegacyServer(const Incoming& message);
// The answer of a legacy server as a modern one would give it, with the client's id: resultType, ttlMs, cacheScope,
// serverInfo; -32002 (resource not found) becomes -32602. `server_info`: raw object or "".
std::string ToModernAnswer(const Incoming& answer, std::string_view method, std::string_view server_info,
                           std::string_view id);
// The result of server/discover, from what `initialize` was answered.
std::string DiscoverResult(const Json& initialize_result);

// Of a modern server's answer to server/discover: the revisions are the gateway's.
std::vector<mcp::Edit> OurVersions(const Incoming& answer);

// --- a legacy client before a modern server

// Adds version, capabilities, clientInfo and, when set, the log level to params._meta. Raw tokens; "" for none.
std::vector<mcp::Edit> AddModernMeta(std::string_view text, const mcp::Envelope& envelope,
                                     std::string_view capabilities, std::string_view client_info,
                                     std::string_view log_level);
// The result of `initialize`, from what server/discover was answered, for a client that asked for `version`.
std::string InitializeResult(const Json& discover_result, std::string_view version);

}  // namespace mcpfleet::gateway
