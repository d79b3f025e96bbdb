// `mcpctl store token create|list|revoke`: tokens of single nodes in the embedded store.
#pragma once

#include <cstdint>
#include <string>

#include "cli/session.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

// All of a node's; how many there were.
StatusOr<int64_t> RevokeStoreTokens(KvClient& tokens, const std::string& node, Deadline deadline);

void AddStoreTokens(CLI::App& store, Session& session);

}  // namespace mcpfleet::cli
