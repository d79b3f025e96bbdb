// The outer process: starts PID 1 of the instance, keeps its log, and writes down how it ended.
#pragma once

#include "edge-runtime/process/sandbox/config.h"

namespace mcpfleet::sandbox {

// Runs until the instance is over. `directory`: descriptor of the instance's directory, also the working directory.
// `status`: where "R" or "E<text>" goes once. Returns the exit code of the program.
int RunMonitor(const Config& config, int directory, int status);

}  // namespace mcpfleet::sandbox
