// Which of the two protocols a server speaks. *Legacy* revisions (up to 2025-11-25) open with `initialize` and have
// sessions; the *modern* one (2026-07-28) has no handshake: every request carries its version, and `server/discover`
// tells what the server is (specification 2026-07-28, basic/versioning).
//
// A client asks `server/discover` first. Whatever is not a modern answer means legacy: real servers answer with every
// error code there is, or with silence. Pure functions; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::mcp {

enum class Era { kUnknown, kLegacy, kModern };
std::string_view ToString(Era era);  // "", "legacy", "modern"
Era EraFromString(std::string_view text);

inline constexpr std::string_view kModernVersion = "2026-07-28";
inline constexpr std::string_view kLegacyVersion = "2025-11-25";  // what we offer in `initialize`

// All that a gateway speaks, as raw JSON: what server/discover and the refusal of a revision tell.
inline constexpr std::string_view kSupportedVersions =
    R"(["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"])";

// Revisions that `initialize` can agree on.
bool IsLegacyVersion(std::string_view version);
bool IsModernVersion(std::string_view version);

// What to do after an answer to server/discover.
struct EraVerdict {
  Era era = Era::kUnknown;  // kUnknown: no revision in common; `problem` says so
  std::string problem;
};
EraVerdict JudgeDiscover(const Message& answer);

// Adds `_meta` with the revision, our empty capabilities and our name, as every modern request must carry it.
// Members of an existing `_meta` stay.
Json WithModernMeta(Json params, std::string_view client_name, std::string_view client_version);

}  // namespace mcpfleet::mcp
