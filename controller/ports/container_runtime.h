// What a node runs instances on: Docker Engine, containerd, or sandboxed processes. Every implementation passes
// tests/contract.
//
// Verbs block until done or their deadline, and are idempotent: creating what exists with the same id, starting what
// runs, stopping or removing what is gone is OK. They may be called from several threads, for one instance from one
// thread at a time. An error leaves the world as it was or further on; the caller looks again with Look or List.
//
// Every instance carries the labels of InstanceSpec, so that List after a crash tells all: mcplet keeps no database.
// A runtime never lists, stops or removes what does not carry our label of this node.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/secrets.h"
#include "crd/object.h"
#include "crd/server_spec.h"

namespace mcpfleet {

enum class RuntimeKind { kDocker, kContainerd, kProcess };
std::string_view ToString(RuntimeKind kind);  // "Docker", "Containerd", "Process"

// What Pull made of a source: enough to create instances with no network.
struct Artifact {
  std::string digest;  // image id "sha256:…", or the lock's hash of a package
  // argv when spec.command is empty (image: ENTRYPOINT; package: interpreter and its script).
  std::vector<std::string> entrypoint;
  std::vector<std::string> default_args;  // image: CMD; used when spec.args is empty and command is too
  std::string root;                       // packages: the installed tree on the host, mounted read-only
};

struct InstanceSpec {
  std::string id;  // unique on the node, [a-z0-9-], at most 40 characters; chosen by the planner
  ServerKey server;
  std::string uid;  // of the object
  int64_t generation = 0;
  std::string revision;
  ServerSpec spec;
  Artifact artifact;
  std::string shim_directory;  // on the host; the instance sees it read-only at /.mcp (shim.md)
};

// Whether `id` may name an instance: what keeps it out of paths and engine filters that it was not meant for.
bool IsInstanceId(std::string_view id);

enum class InstanceState { kCreated, kRunning, kExited };
std::string_view ToString(InstanceState state);

struct ExitInfo {
  int code = 0;  // 128 + signal when signalled
  int signal = 0;
  bool oom = false;
};

// One instance as the runtime reports it.
struct InstanceReport {
  std::string id;
  RuntimeKind runtime = RuntimeKind::kProcess;
  ServerKey server;
  std::string uid;
  int64_t generation = 0;
  std::string revision;
  InstanceState state = InstanceState::kCreated;
  std::optional<ExitInfo> exit;  // of its first process, once kExited
  int pid = 0;                   // first process (the shim) in the host's pid namespace; 0 unless running
  std::string artifact_digest;
  WallTime created_at{}, started_at{}, finished_at{};
  bool shim = true;  // false: the server itself is the first process
  // Why the server's stdio is attached through the engine: there was no shim to use. "" when it is not. The session is
  // then made at Start and lives as long as this mcplet's connection (status: condition StdioTransport).
  std::string attached;
  std::string unenforced;  // what of the sandbox this node could not enforce, "" when all of it is
};

struct InstanceUsage {
  std::string id;
  int64_t memory_bytes = 0;
  double cpu_seconds = 0;
  int64_t oom_kills = 0;
};

// What a runtime can do here and now.
struct RuntimeCheck {
  bool available = false;
  std::string version;
  std::string reason;                   // when not available: why, and what to do
  std::vector<std::string> unenforced;  // sandbox features that this node lacks
};

struct PullProgress {
  int64_t done_bytes = 0, total_bytes = 0;
  std::string phase;  // "resolving", "downloading", "installing"
};

struct LogOptions {
  bool follow = false;
  int64_t tail_lines = -1;  // -1: all
  std::optional<WallTime> since;
  bool previous = false;  // of the incarnation before this one
};

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;
  virtual RuntimeKind kind() const = 0;
  virtual RuntimeCheck Check(Deadline deadline) = 0;
  // Whether this runtime can run such a source at all.
  virtual bool Supports(const ServerSpec& spec) const = 0;
  // All instances with our label of this node, in any state. One call to the engine.
  virtual StatusOr<std::vector<InstanceReport>> List(Deadline deadline) = 0;
  // What List would say of one instance; nullopt when it would not name it. Costs the same however many there are.
  // InvalidArgument for what can't be an id.
  virtual StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) = 0;
  // Why variables and files of secrets can't reach an instance of this spec without being shown to others; "" when they
  // can. May change: an engine can turn out to be one that the shim can't work with.
  virtual std::string WhyNoSecrets(const ServerSpec& spec) const = 0;
  // Pull, with what the registry asks for. A runtime that pulls from no registry has no use for it.
  virtual StatusOr<Artifact> PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                                    std::function<void(const PullProgress&)> progress, Deadline deadline) = 0;
  // Makes the source present locally. `progress` may be called from another thread, at most a few times a second.
  virtual StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                  Deadline deadline) = 0;
  virtual Status Create(const InstanceSpec& spec, Deadline deadline) = 0;
  virtual Status Start(const std::string& id, Deadline deadline) = 0;
  // SIGTERM, then SIGKILL after `grace`.
  virtual Status Stop(const std::string& id, Duration grace, Deadline deadline) = 0;
  virtual Status Remove(const std::string& id, Deadline deadline) = 0;
  // Calls `changed` with "" once the watch stands, then with an instance id (or "" = anything) for each change, until
  // `stop` is requested (OK, at once), the stream breaks (its status) or the deadline. Only a hint: the caller lists.
  virtual Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                             Deadline deadline) = 0;
  virtual StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) = 0;
  // Log lines (stderr of the server, each "<RFC3339 time> <line>\n") to `sink` until it returns false.
  virtual Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
                      Deadline deadline) = 0;
  // What all artifacts that CollectArtifacts could remove take, kept ones too.
  virtual StatusOr<int64_t> ArtifactBytes(Deadline deadline) = 0;
  // Removes artifacts that none of `keep` (artifact digests) names, oldest first, until under the quota.
  virtual Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) = 0;
};

}  // namespace mcpfleet
