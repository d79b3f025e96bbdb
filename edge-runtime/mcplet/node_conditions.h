// The node's own conditions: Ready, StoreReachable, DesiredStateFresh, RuntimeReady, GatewayReady, TunnelReady and
// LogsShipped (where there is a gateway, a tunnel, a store for logs), ClusterReachable (with Kubernetes), ClockSynced,
// DiskPressure, MemoryPressure (the last two as in core/v1: True is bad).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "crd/server_status.h"

namespace mcpfleet {

struct NodeFacts {
  bool synced = false;     // the controller has looked at every server that is desired now
  bool store_used = true;  // else there are neither StoreReachable nor DesiredStateFresh
  bool store_reachable = false;
  bool has_head = false;
  bool cluster_used = false;
  std::string store_trouble;    // why it is not; "": not known
  std::string bad_answer;       // what it said lately that can't be used; "": nothing
  std::string status_refused;   // why the last write of the status failed; "": it did not
  std::string cluster_problem;  // why the API server does not answer as it should; "": it does
  std::string valid_until;      // of the accepted head; "": for ever
  std::string distrust;         // why the store's newest head is not followed; "": it is
  std::string head_time;        // of the accepted head: when it was written
  WallTime build_time{};
  std::map<RuntimeKind, RuntimeCheck> runtimes;
  bool gateway_wanted = false;
  bool logs_shipped = false;  // wanted, and the store takes them
  bool clock_synced = true;
  std::string gateway_problem;                        // why it is not open; "": it is
  std::string certificate_problem;                    // why its renewed certificate is not used; "": it is
  std::optional<Condition> tunnel;                    // TunnelReady; nullopt: the node has no tunnel
  std::string logs_waiting;                           // why they wait there for long; "": they don't
  std::string logs_lost;                              // what was lost of them lately
  int64_t disk_free_bytes = 0, disk_total_bytes = 0;  // below the state directory
  int64_t memory_available_bytes = 0, memory_total_bytes = 0;
  int64_t cpus = 0;  // that this process may run on
};

// What the kernel says of clock, disk and memory.
NodeFacts ReadKernelFacts(const std::string& state_directory);
// What expiry is judged by: the greatest of the system's clock, the build's time and the last verified head's. A node
// without an RTC boots in 1970, and a clock that is set back must not make an expired head good again. Pure.
WallTime TrustedTime(WallTime system, WallTime build, const std::string& head_time);
// Pure. A node that looked at all of its servers once stays ready when new ones come.
std::vector<Condition> NodeConditions(const NodeFacts& facts, std::vector<Condition> previous, WallTime now);
// Whether the node has yet to look at all of its servers for the first time.
bool IsStarting(const std::vector<Condition>& conditions);

}  // namespace mcpfleet
