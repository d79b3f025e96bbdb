// `mcplet sync`: pull-based GitOps without a cluster, a process of its own beside the node's (docs/decisions). Wires
// edge-runtime/gitsync to a store, a clock, and metrics.
#pragma once

#include <functional>

#include "base/status.h"
#include "edge-runtime/mcplet/config.h"

namespace CLI {
class App;
}

namespace mcpfleet {

// Adds the subcommand; `configuration` is asked when it runs, and has printed what is wrong when it gives an error.
// *code: 0 when it did what it should.
void AddSync(CLI::App& app, std::function<StatusOr<Config>()> configuration, int* code);

}  // namespace mcpfleet
