// What a client of Streamable HTTP writes, in both protocol eras, and what it must get back. Pure functions.
//
// legacy (2025-11-25): initialize, notifications/initialized, then calls under the session's id.
// modern (2026-07-28): nothing before the call; every request carries its revision in `_meta` and in headers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mcpfleet::bench {

enum class Era { kLegacy, kModern };

// http://HOST:PORT/PATH; HOST is an IPv4 address.
struct Endpoint {
  std::string host, path;
  uint16_t port = 0;
};
std::optional<Endpoint> ParseEndpoint(std::string_view url);

std::string InitializeBody();
std::string InitializedBody();
// `argument` is one member: "text":"hello".
std::string CallBody(Era era, uint64_t id, std::string_view tool, std::string_view argument);

std::string PostInitialize(const Endpoint& to);
std::string PostInitialized(const Endpoint& to, std::string_view session);
std::string PostCall(const Endpoint& to, Era era, std::string_view session, uint64_t id, std::string_view tool,
                     std::string_view argument);
std::string GetStream(const Endpoint& to, std::string_view session);
std::string DeleteSession(const Endpoint& to, std::string_view session);

// The text of a tool's result if `message` is the answer to `id`; nullopt for any other message and for errors.
// The benches' texts hold no escapes.
std::optional<std::string_view> TextOf(std::string_view message, uint64_t id);
// Whether `message` answers `id` with a result.
bool IsResult(std::string_view message, uint64_t id);

}  // namespace mcpfleet::bench
