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

// A value of an MCPSecret in the server's namespace. `name` "": there is none.
struct SecretKeyRef {
  std::string name, key;
  bool operator==(const SecretKeyRef&) const = default;
};

enum class PullPolicy { kIfNotPresent, kAlways, kNever };
struct ImageSource {
  std::string ref;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
  std::string pull_secret = {};  // name of an MCPSecret; "": none
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
  SecretKeyRef secret = {};  // instead of `value`
};
struct RemoteSource {
  std::string url;
  std::vector<HeaderValue> headers;
};
using Source = std::variant<ImageSource, PackageSource, ProcessSource, RemoteSource>;

struct EnvVar {
  std::string name, value;
  SecretKeyRef secret = {};  // instead of `value`
};
// A file in memory inside the server that holds a value of a secret: mode 0400, of the server's user.
struct SecretFile {
  std::string path;
  SecretKeyRef secret;
};
struct Volume {
  std::string name;
  std::string host_path;  // exactly one of host_path and tmpfs_bytes
  int64_t tmpfs_bytes = 0;
  std::string mount_path;
  bool read_only = false;
};

enum class RuntimeChoice { kAuto, kDocker, kContainerd, kProcess };
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
  std::optional<int> replicas;  // nullopt: every node that matches
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

// Which client conversations share a child process of a stdio server.
enum class SessionMode {
  kAuto,        // a modern server shares one child, a legacy one has one per session
  kPerSession,  // always one child per session
  kShared,      // always one child for all
};
struct SessionsSpec {
  SessionMode mode = SessionMode::kAuto;
  int warm_spares = 0;  // children that run before anybody asks
  int max = 8;          // children for clients, of the whole instance
  Duration idle_timeout = std::chrono::minutes(30);
  Duration max_lifetime = std::chrono::hours(12);
  bool resumable = true;  // a session whose child died goes on with a new one

  bool operator==(const SessionsSpec&) const = default;
};

enum class ToolPinning { kOff, kWarn, kBlock };
struct ToolsSpec {
  std::vector<std::string> allow;  // names; empty: all
  std::vector<std::string> deny;   // names; wins over allow
  ToolPinning pinning = ToolPinning::kWarn;
  std::map<std::string, std::string> pins;  // name -> "sha256:<hex>" (mcp::ToolHash); empty: nothing is pinned

  bool operator==(const ToolsSpec&) const = default;
};

enum class AuthType { kNone, kBearer, kJwt, kCloudflareAccess };
struct BearerToken {
  std::string name;    // of the subject that has it
  std::string sha256;  // of the token, lower-case hex

  bool operator==(const BearerToken&) const = default;
};
struct AuthSpec {
  AuthType type = AuthType::kNone;
  std::vector<BearerToken> tokens;  // Bearer
  std::string issuer, jwks_uri;     // JWT
  std::string audience;             // JWT ("": the endpoint's own URL) and CloudflareAccess (the application's tag)
  std::vector<std::string> scopes;  // JWT: all of them must be in the token
  std::string team;                 // CloudflareAccess: <team>.cloudflareaccess.com

  bool operator==(const AuthSpec&) const = default;
};

struct RateLimitSpec {
  int requests = 0;  // per `per`, of the whole server; 0: no limit
  Duration per = std::chrono::minutes(1);
  int per_subject = 0;     // per `per`, of one subject; 0: no limit
  int max_concurrent = 0;  // requests in flight; 0: no limit

  bool operator==(const RateLimitSpec&) const = default;
};

struct ExposeSpec {
  std::string hostname;  // lower case; "": the server is not exposed

  bool operator==(const ExposeSpec&) const = default;
};

enum class UpdateType { kRollingUpdate, kRecreate };
struct UpdateStrategy {
  std::optional<UpdateType> type;  // nullopt: UpdateTypeOf decides
  Duration drain_timeout = std::chrono::minutes(10);
  Duration progress_deadline = std::chrono::minutes(5);
  bool auto_rollback = true;

  bool operator==(const UpdateStrategy&) const = default;
};

enum class ActivationMode { kAlways, kOnDemand };
struct Activation {
  ActivationMode mode = ActivationMode::kAlways;
  Duration idle_after = std::chrono::minutes(15);

  bool operator==(const Activation&) const = default;
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
  std::vector<SecretFile> files;
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
  SessionsSpec sessions;
  ToolsSpec tools;
  AuthSpec auth;
  RateLimitSpec rate_limit;
  ExposeSpec expose;
  UpdateStrategy update_strategy;
  Activation activation;
  LogsSpec logs;
};

// Hash (64 hex) of every field that requires a new instance when it changes: all but source.image.pullSecret (what was
// pulled runs, whoever may pull it), placement, suspend, probes, restart_policy, termination_grace, sessions, tools,
// auth, rate_limit, expose, update_strategy, activation. 12 hex digits of it are shown to people.
std::string RevisionOf(const ServerSpec& spec);

// What the spec asks for, else RollingUpdate where two instances do no harm to each other: not with a hostPath that
// they write to, nor with an http port on the host's network, which only one can have.
UpdateType UpdateTypeOf(const ServerSpec& spec);

}  // namespace mcpfleet
