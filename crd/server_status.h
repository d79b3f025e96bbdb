// status of an MCPServer on one node, and of a node: what SERVER_STATE holds and mcpctl shows. JSON form in
// crd/codec.h; field names as in crd/*.yaml.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "crd/object.h"

namespace mcpfleet {

// metav1.Condition. Positive polarity; last_transition_time moves only when `status` changes.
enum class ConditionStatus { kTrue, kFalse, kUnknown };
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  int64_t observed_generation = 0;
  WallTime last_transition_time{};
  std::string reason;  // CamelCase, never empty
  std::string message;

  bool operator==(const Condition&) const = default;
};

// Sets or replaces the condition of its type; keeps last_transition_time unless `status` changed. True when anything
// did.
bool SetCondition(std::vector<Condition>* conditions, Condition condition, WallTime now);
const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type);

struct ServerInfo {
  std::string name, version, protocol_version;
  std::vector<std::string> capabilities;  // sorted names: "tools", "resources", …
};
struct Catalog {
  int64_t tools = 0, resources = 0, prompts = 0;
  std::string tools_hash;  // "sha256:<hex>"
  std::vector<std::string> tool_names;
  // For the node's own judgement (condition ToolsPinned); never written, so that a status stays small: tools_hash says
  // that something changed, the condition what.
  std::vector<std::pair<std::string, std::string>> tool_hashes;  // name and "sha256:<hex>", sorted
  std::vector<std::string> hidden_text;  // "the description of add": where text holds characters nobody sees; bounded
};
struct InstanceSummary {
  std::string id;
  std::string runtime;  // "Docker" | "Containerd" | "Process"
  std::string state;    // "Created" | "Running" | "Exited"
  std::string revision;
  WallTime started_at{};
};
struct Restarts {
  int64_t count = 0;
  std::optional<int> last_exit_code;
  int last_signal = 0;
  std::string last_reason;  // "Error" | "OOMKilled" | "Signalled" | "LivenessFailed" | "Completed" | …
  WallTime last_at{};
  std::optional<WallTime> next_attempt_at;
  std::string stderr_tail;
};

struct ServerStatus {
  ServerKey key;
  std::string uid;
  int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string revision;
  std::string image_digest;
  std::string endpoint;
  ServerInfo server_info;
  Catalog catalog;
  std::vector<InstanceSummary> instances;
  Restarts restarts;
};

struct Event {
  WallTime time{};
  std::string type;    // "Normal" | "Warning"
  std::string object;  // "MCPServer/default/weather"
  std::string reason, message;
  int64_t count = 1;
  WallTime first_time{};
};

// What the machine has in all; 0: not known.
struct NodeCapacity {
  int64_t cpus = 0;          // that mcplet may run on
  int64_t memory_bytes = 0;  // of the machine
  int64_t disk_bytes = 0;    // of the file system that the state directory is on

  bool operator==(const NodeCapacity&) const = default;
};

struct NodeStatus {
  std::string node;
  std::string boot_id;   // of this mcplet process
  int64_t sequence = 0;  // rises with each write
  std::string version;   // of mcplet
  WallTime heartbeat{};
  std::string accepted_head;  // "trust.epoch.revision" that this node runs
  std::string snapshot;       // its hash
  std::vector<std::string> runtimes;
  NodeCapacity capacity;
  std::vector<Condition> conditions;
  std::vector<ServerStatus> servers;
};

}  // namespace mcpfleet
