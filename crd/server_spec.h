// spec of an MCPServer after validation and defaulting: what a node works with. One member per schema field
// (crd/mcpserver.yaml has the descriptions); DecodeServerSpec in crd/codec.h makes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace mcpfleet {

enum class PullPolicy { kIfNotPresent, kAlways, kNever };
struct ImageSource {
  std::string ref;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
};
enum class PackageManager { kNpm, kPypi };
struct PackageSource {
  PackageManager manager = PackageManager::kNpm;
  std::string name, version;
  std::string integrity;  // "sha512-<base64>" (npm) or "sha256-<hex>" (pypi); "" when not given
};
struct ProcessSource {
  std::string path;
  std::string sha256;  // hex; "" when not given
};
struct HeaderValue {
  std::string name, value;
};
struct RemoteSource {
  std::string url;
  std::vector<HeaderValue> headers;
};
using Source = std::variant<ImageSource, PackageSource, ProcessSource, RemoteSource>;

struct EnvVar {
  std::string name, value;
};
struct Volume {
  std::string name;
  std::string host_path;  // exactly one of host_path and tmpfs_bytes
  int64_t tmpfs_bytes = 0;
  std::string mount_path;
  bool read_only = false;
};

enum class RuntimeChoice { kAuto, kDocker, kProcess };
enum class Transport { kStdio, kStreamableHttp };

struct Resources {
  int64_t cpu_milli = 1000;  // limits.cpu
  int64_t memory_bytes = int64_t{256} << 20;
  int64_t pids = 128;
};

enum class NetworkMode { kNone, kOutbound, kHost };
enum class Enforcement { kRequired, kBestEffort };
struct SecurityContext {
  int64_t run_as_user = 65534;
  bool read_only_root = true;
  std::vector<std::string> add_capabilities;  // "NET_BIND_SERVICE"
  NetworkMode network = NetworkMode::kNone;
  Enforcement enforcement = Enforcement::kRequired;
};

struct Placement {
  std::vector<std::string> nodes;
  std::map<std::string, std::string> node_selector;
};

struct Probes {
  Duration startup_timeout = std::chrono::seconds(60);
  Duration liveness_period = std::chrono::seconds(20);
  Duration liveness_timeout = std::chrono::seconds(10);
  int liveness_failures = 3;
  Duration readiness_period = std::chrono::seconds(60);
  Duration readiness_timeout = std::chrono::seconds(10);
  int readiness_failures = 2;
  std::vector<std::string> required_tools;
  std::vector<std::string> required_capabilities;
};

enum class RestartCondition { kAlways, kOnFailure, kNever };
struct RestartPolicy {
  RestartCondition condition = RestartCondition::kAlways;
  Duration backoff_initial = std::chrono::seconds(1);
  Duration backoff_max = std::chrono::minutes(5);
  Duration reset_after = std::chrono::seconds(60);
  int max_attempts = 0;  // 0: no limit

  bool operator==(const RestartPolicy&) const = default;
};

struct LogsSpec {
  int64_t max_size_bytes = int64_t{10} << 20;
  int max_files = 3;
};

struct ServerSpec {
  Source source;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::vector<EnvVar> env;
  std::vector<Volume> volumes;
  RuntimeChoice runtime = RuntimeChoice::kAuto;
  Transport transport = Transport::kStdio;
  int port = 0;               // http transports
  std::string path = "/mcp";  // http transports
  Resources resources;
  SecurityContext security;
  Placement placement;
  bool suspend = false;
  Probes probes;
  RestartPolicy restart_policy;
  Duration termination_grace = std::chrono::seconds(10);
  LogsSpec logs;
};

// Hash (64 hex) of every field that requires a new instance when it changes: all but placement, suspend, probes,
// restart_policy, termination_grace. 12 hex digits of it are shown to people.
std::string RevisionOf(const ServerSpec& spec);

}  // namespace mcpfleet
