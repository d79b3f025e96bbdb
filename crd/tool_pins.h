// A server's tools beside its spec.tools: who may be used, and what is not as it was pinned. Pure; the condition
// ToolsPinned, the gateway and mcpctl judge by the same functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crd/server_spec.h"

namespace mcpfleet {

// Names and hashes ("sha256:<hex>") of tools. A server that lists a name twice has two entries.
using ToolHashes = std::vector<std::pair<std::string, std::string>>;

// Whether allow and deny let clients use the tool.
bool ListsAllow(const ToolsSpec& tools, std::string_view name);

// Each sorted by name, without repetition.
struct PinDifferences {
  std::vector<std::string> changed;  // pinned and listed, with another hash (once is enough where it is listed twice)
  std::vector<std::string> missing;  // pinned, not listed
  std::vector<std::string> added;    // listed, not pinned

  bool none() const { return changed.empty() && missing.empty() && added.empty(); }
};
PinDifferences ComparePins(const std::map<std::string, std::string>& pins, const ToolHashes& listed);
// The same among the tools that clients may use: what allow and deny take away makes no difference.
PinDifferences PinDifferencesOf(const ToolsSpec& tools, const ToolHashes& listed);
// Whether the tools keep a server from being Ready: under Block, when a pinned one has changed or is gone. One that is
// not pinned is only hidden from clients.
bool PinsBroken(const ToolsSpec& tools, const ToolHashes& listed);

}  // namespace mcpfleet
