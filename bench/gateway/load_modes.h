// What bench_load can do. Each mode prints JSON objects, one a line, and returns the exit code: 0 also when calls
// failed, which the counts tell.
#pragma once

#include <string>
#include <vector>

#include "bench/gateway/wire.h"

namespace mcpfleet::bench {

struct LoadOptions {
  Endpoint endpoint;
  Era era = Era::kLegacy;
  int connections = 1;               // calls
  double seconds = 3;                // calls, stdio
  double warm = 1;                   // calls, stdio: before the clock runs
  double rate = 0;                   // calls: so many a second over all connections; 0: as many as go
  int count = 1;                     // sessions; of big, pipe and cat: repetitions
  int parallel = 32;                 // sessions: that are opened at a time
  std::string keep = "none";         // sessions: none, connection, or stream
  size_t bytes = 20'000'000;         // big, pipe
  std::vector<std::string> command;  // stdio, pipe, cat
};

// Sessions (legacy) or connections (modern) that call `echo` as fast as they are answered. After the warm-up it prints
// {"ready":true} and waits for a line on stdin, so that the caller can look at clocks; after the result it waits again,
// then it ends its sessions.
int RunCalls(const LoadOptions& options);
// Opens sessions and leaves them: without a connection, with one, or with a GET stream each. Prints what came of it and
// holds them until stdin ends. Never sends DELETE.
int RunSessions(const LoadOptions& options);
// Results of many bytes, one after the other.
int RunBig(const LoadOptions& options);
// The calls, and the big results, over the pipes of a server without any gateway.
int RunStdio(const LoadOptions& options);
int RunPipe(const LoadOptions& options);
// The time in which `cat` writes a file through a pipe.
int RunCat(const LoadOptions& options);

// Shared by the modes.
struct Latencies {
  std::vector<double> microseconds;
  // "p50":…,"p90":…,"p99":…,"max":…
  std::string Json();
};
// Returns at a line or the end of stdin. Must not be called with more than a line waiting.
void WaitForStdin();

}  // namespace mcpfleet::bench
