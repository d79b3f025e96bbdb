// ContainerRuntime over the Docker Engine API (1.40 and later, also Podman's compatible socket), through its unix
// socket.
//
//   SystemClock clock;
//   ASSIGN_OR_RETURN(auto docker, DockerRuntime::Create({.socket_path = "/run/docker.sock", .node_name = "edge-01",
//                                                        .shim_binary = "/usr/libexec/mcpfleet/mcp-shim"}, clock));
//
// The engine keeps the state: every container carries labels (dev.mcpfleet.*) from which List rebuilds everything. A
// relist of containers that just run is one call to the engine: what inspect told of a running container holds while
// its first process (number and start time) lives. Create does not connect: an engine that is down is Unavailable at
// each call, and comes back by itself.
// Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/docker/attachments.h"
#include "edge-runtime/docker/docker_images.h"
#include "edge-runtime/docker/docker_json.h"
#include "edge-runtime/engine/cgroup_usage.h"

namespace mcpfleet {

struct DockerOptions {
  std::string socket_path = "/var/run/docker.sock";  // or "unix:///…"
  std::string node_name;
  // On the host, mounted read-only into every container. "": argv runs as the first process (InstanceReport.shim is
  // false).
  std::string shim_binary;
  // Why no container of this node can use the shim (stdio_path.h), "" when that is not known. Then, and when the engine
  // shows that the shim can't work with it, stdio servers are attached, through `attachments`.
  std::string attach;
  DockerAttachments* attachments = nullptr;  // outlives the runtime; null: stdio without a shim is nobody's
  std::string state_directory;               // for the list of pulled images; "": not kept over a restart
  KernelPaths kernel;
};

class DockerRuntime final : public ContainerRuntime, public LogTails {
 public:
  // InvalidArgument for options that can't work. `clock` outlives the runtime.
  static StatusOr<std::unique_ptr<DockerRuntime>> Create(DockerOptions options, const Clock& clock);

  RuntimeKind kind() const override { return RuntimeKind::kDocker; }
  RuntimeCheck Check(Deadline deadline) override;
  bool Supports(const ServerSpec& spec) const override;
  StatusOr<std::vector<InstanceReport>> List(Deadline deadline) override;
  StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) override;
  StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                          Deadline deadline) override;
  StatusOr<Artifact> PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                            std::function<void(const PullProgress&)> progress, Deadline deadline) override;
  std::string WhyNoSecrets(const ServerSpec& spec) const override;
  Status Create(const InstanceSpec& spec, Deadline deadline) override;
  Status Start(const std::string& id, Deadline deadline) override;
  Status Stop(const std::string& id, Duration grace, Deadline deadline) override;
  Status Remove(const std::string& id, Deadline deadline) override;
  Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                     Deadline deadline) override;
  StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) override;
  Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override;
  // It must not outlive the runtime.
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from,
                                              Deadline deadline) override;
  StatusOr<int64_t> ArtifactBytes(Deadline deadline) override;
  Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) override;

  // Requests sent to the engine so far.
  int64_t requests() const { return requests_; }

 private:
  struct Engine {
    std::string says;    // of its version, whole
    std::string prefix;  // "/v1.41"
    EngineVersion version;
    std::vector<std::string> unenforced;
  };
  // What inspect told of a running container, good while this very process lives.
  struct Running {
    std::string instance;
    std::string start_ticks;
    std::string cgroups;  // "" when they can't be seen from here
    int pid = 0;
    WallTime created_at{}, started_at{};
  };

  DockerRuntime(DockerOptions options, const Clock& clock);
  // What the engine said of itself, asked at the first call and after it went away.
  StatusOr<Engine> Connect(Deadline deadline) LOCKS_EXCLUDED(mu_);
  // Asks now: its version, and when that is another, or it went away since, `info`, which costs it 10 ms and more.
  StatusOr<Engine> Meet(Deadline deadline) LOCKS_EXCLUDED(mu_);
  StatusOr<std::string> AskItself(const std::string& target, Deadline deadline);
  void ForgetEngine() LOCKS_EXCLUDED(mu_);
  StatusOr<http::Response> Call(std::string_view method, const std::string& path, Deadline deadline,
                                const Json* body = nullptr);
  StatusOr<std::unique_ptr<http::ResponseStream>> OpenStream(std::string_view method, const std::string& path,
                                                             Deadline deadline, const SecretText& registry_auth = {});
  StatusOr<std::vector<ListedContainer>> ListContainers(Deadline deadline);
  Status FillIn(ListedContainer& container, Deadline deadline) LOCKS_EXCLUDED(mu_);
  bool FillInFromCache(ListedContainer& container) LOCKS_EXCLUDED(mu_);
  // What inspect told is remembered of one that runs, and completed by what events told of one that has ended.
  void NoteInspected(const std::string& container_id, InstanceReport* report) LOCKS_EXCLUDED(mu_);
  // The container of an instance of this node; NotFound when there is none, also when the name is somebody else's.
  StatusOr<InspectedContainer> Find(const std::string& id, Deadline deadline);
  StatusOr<std::vector<ListedImage>> ListImages(Deadline deadline);
  StatusOr<std::optional<Artifact>> FindImage(const std::string& ref, Deadline deadline);
  Status PullImage(const std::string& ref, const SecretText& registry_auth,
                   const std::function<void(const PullProgress&)>& progress, Deadline deadline);
  // Why instances are made without the shim now, "" when they are not.
  std::string AttachReason() const LOCKS_EXCLUDED(mu_);
  void SetAttachReason(const std::string& reason) LOCKS_EXCLUDED(mu_);
  // Connects to the streams of a container that is about to start.
  Status Attach(const InspectedContainer& container, Deadline deadline);
  // Whether the first process of a container that was just started is the one that the engine names. FailedPrecondition
  // when it certainly is not.
  Status MatchShim(const std::string& id, Deadline deadline) LOCKS_EXCLUDED(mu_);
  void KillLost(const std::string& container_id, const std::string& instance) const;
  Status RemoveContainer(const std::string& id, Deadline deadline);
  Status AwaitRemoval(const std::string& container_id, Deadline deadline);

  const DockerOptions options_;
  const Clock& clock_;
  http::Client client_;
  PulledImages pulled_;
  std::atomic<int64_t> requests_{0};
  mutable Mutex mu_;
  std::string attach_ GUARDED_BY(mu_);    // AttachReason
  bool matched_ GUARDED_BY(mu_) = false;  // a shim's process was found once
  std::optional<Engine> engine_ GUARDED_BY(mu_);
  bool listed_ GUARDED_BY(mu_) = false;                     // once, so running_ is all that runs
  std::map<std::string, Running> running_ GUARDED_BY(mu_);  // by container id; what the last List or a Look since saw
  std::map<std::string, WallTime> oom_ GUARDED_BY(mu_);     // by container id; the last event "oom"
};

}  // namespace mcpfleet
