// `mcpctl store token create|list|revoke`: tokens of single nodes in the embedded store.
#pragma once

#include "cli/session.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

void AddStoreTokens(CLI::App& store, Session& session);

}  // namespace mcpfleet::cli
