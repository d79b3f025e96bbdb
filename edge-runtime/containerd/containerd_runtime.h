// ContainerRuntime over containerd's gRPC API (1.6 and later), through its unix socket, in a containerd namespace of
// our own: neither Docker nor kubelet looks there.
//
//   SystemClock clock;
//   ASSIGN_OR_RETURN(auto runtime, ContainerdRuntime::Create({.socket_path = "/run/containerd/containerd.sock",
//       .node_name = "edge-01", .shim_binary = "…/mcp-shim", .log_binary = "…/mcp-log",
//       .state_directory = "/var/lib/mcpfleet"}, clock));
//
// An instance is a container, a snapshot of the same name and, while it runs or until it was looked at, a task. The
// container's labels (dev.mcpfleet.*) tell all of it after a crash. Below <state>/containerd/instances/<id>/ are its
// log (written by mcp-log, which containerd's shim starts), its hosts and resolv.conf, and what its network is to be
// undone by.
//
// What containerd does not keep, it is asked for while it is there: how a task ended goes with a restart of containerd,
// and with the death of its shim. Such an instance counts as killed.
//
// Create does not connect: an engine that is down is Unavailable at each call, and comes back by itself. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/containerd/cgroups.h"
#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/hosts_file.h"
#include "edge-runtime/containerd/image_store.h"
#include "edge-runtime/containerd/introspection.h"
#include "edge-runtime/containerd/labels.h"
#include "edge-runtime/containerd/network.h"
#include "edge-runtime/containerd/snapshots.h"
#include "edge-runtime/containerd/transfer.h"

namespace mcpfleet {

struct ContainerdOptions {
  std::string socket_path = "/run/containerd/containerd.sock";  // or "unix:///…"
  std::string space = "mcpfleet";                               // containerd namespace
  std::string snapshotter = "overlayfs";
  std::string runtime = "io.containerd.runc.v2";
  std::string node_name;
  // On the host, mounted read-only into every container. "": argv runs as the first process (InstanceReport.shim is
  // false).
  std::string shim_binary;
  std::string log_binary;       // mcp-log, on the host
  std::string state_directory;  // the same path for mcplet, containerd and its shims
  std::string hosts_directory;  // registry configuration and mirrors (certs.d); "": containerd's own default
  std::string cgroup_parent = "mcpfleet-containerd";
  containerd::NetworkOptions network;  // its state_directory is set from ours
};

class ContainerdRuntime final : public ContainerRuntime, public LogTails {
 public:
  // InvalidArgument for options that can't work. `clock` outlives the runtime.
  static StatusOr<std::unique_ptr<ContainerdRuntime>> Create(ContainerdOptions options, const Clock& clock);

  RuntimeKind kind() const override { return RuntimeKind::kContainerd; }
  RuntimeCheck Check(Deadline deadline) override;
  bool Supports(const ServerSpec& spec) const override;
  StatusOr<std::vector<InstanceReport>> List(Deadline deadline) override;
  StatusOr<std::optional<InstanceReport>> Look(const std::string& id, Deadline deadline) override;
  std::string WhyNoSecrets(const ServerSpec& spec) const override;
  StatusOr<Artifact> Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                          Deadline deadline) override;
  StatusOr<Artifact> PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                            std::function<void(const PullProgress&)> progress, Deadline deadline) override;
  Status Create(const InstanceSpec& spec, Deadline deadline) override;
  Status Start(const std::string& id, Deadline deadline) override;
  Status Stop(const std::string& id, Duration grace, Deadline deadline) override;
  Status Remove(const std::string& id, Deadline deadline) override;
  Status WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                     Deadline deadline) override;
  StatusOr<std::vector<InstanceUsage>> Usage(Deadline deadline) override;
  Status Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override;
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from,
                                              Deadline deadline) override;
  StatusOr<int64_t> ArtifactBytes(Deadline deadline) override;
  // Also clears away what crashes left of this node's: snapshots, leases, addresses, directories.
  Status CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) override;

 private:
  // Marks an instance as under way, so that what there is of it is not taken for left behind.
  class UnderWay;

  ContainerdRuntime(ContainerdOptions options, const Clock& clock);
  std::string DirectoryOf(const std::string& id) const { return instances_ + "/" + id; }
  std::string CgroupOf(const std::string& id) const { return "/" + options_.cgroup_parent + "/" + id; }
  std::string LeaseOf(const std::string& what) const { return "mcpfleet-" + what; }
  std::map<std::string, std::string> OwnLabels(const std::string& id) const;
  std::vector<std::string> Unenforced() const;
  // What the engine said of itself, asked at the first call and after it went away.
  StatusOr<containerd::Engine> Connect(Deadline deadline) LOCKS_EXCLUDED(mu_);
  StatusOr<containerd::Engine> Meet(Deadline deadline) LOCKS_EXCLUDED(mu_);

  StatusOr<containerd::OwnContainer> Find(const std::string& id, Deadline deadline);
  // Completes a report by its task, which may be null.
  void FillIn(InstanceReport* report, bool started, const containerd::Task* task) LOCKS_EXCLUDED(mu_);
  Status MakeContainer(const InstanceSpec& spec, const std::string& lease, Deadline deadline);
  // What the container finds under /etc, of today: before each start.
  Status WriteFiles(const std::string& id, NetworkMode network) const;
  std::string LogAddress(const containerd::OwnContainer& container) const;
  // The log of the last incarnation becomes "previous".
  Status PutAwayLogs(const std::string& id) const;
  // The pid of its first process, which does not run yet.
  StatusOr<int> MakeTask(const containerd::OwnContainer& container, const std::vector<containerd::Mount>& root,
                         Deadline deadline);
  Status StartNew(const containerd::OwnContainer& container, Deadline deadline);
  // Ends and removes the task, also one that is not shown, its processes and its network. Absent is OK.
  Status EndTask(const std::string& id, Deadline deadline) LOCKS_EXCLUDED(mu_);
  Status EndSeen(const std::string& id, const std::optional<containerd::Task>& task, Deadline deadline)
      LOCKS_EXCLUDED(mu_);
  Status EndProcesses(const std::string& id, Deadline deadline);
  Status EndStrayShims(const std::string& id, Deadline deadline);

  StatusOr<std::optional<containerd::UsableImage>> FindUnpacked(
      const std::string& ref, const std::string& lease, const std::function<void(const PullProgress&)>& progress,
      Deadline deadline);
  // Where an image is asked for. containerd 2.0 and later see to mirrors themselves.
  struct Ways {
    std::vector<containerd::MirrorHost> mirrors;  // before the registry
    bool registry = true;                         // which the hosts file may leave out
    std::string unasked;                          // what a failed pull should say of mirrors that are not asked
  };
  Ways WaysTo(const std::string& name, const containerd::Engine& engine) const;
  Status PullBy(const Ways& ways, containerd::TransferPull pull,
                const std::function<void(const PullProgress&)>& progress, const std::string& lease, Deadline deadline);
  std::string HowToImport(const std::string& name, const containerd::Engine& engine) const;
  Status ClearAway(Deadline deadline);

  const ContainerdOptions options_;
  const std::string instances_;
  const Clock& clock_;
  const containerd::Connection connection_;
  const containerd::Snapshots snapshots_;
  const containerd::ImageStore images_;
  const containerd::Network network_;
  const containerd::CgroupFacts cgroups_;
  const bool seccomp_;
  mutable Mutex mu_;
  std::optional<containerd::Engine> engine_ GUARDED_BY(mu_);
  std::multiset<std::string> under_way_ GUARDED_BY(mu_);
  std::set<std::string> oom_ GUARDED_BY(mu_);  // told by an event, where the cgroup can't be seen
  struct End {
    ExitInfo exit;
    WallTime at{};
  };
  std::map<std::string, End> ends_ GUARDED_BY(mu_);  // as last seen; containerd forgets
};

}  // namespace mcpfleet
