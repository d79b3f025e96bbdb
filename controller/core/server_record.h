// What a controller remembers of one server between two looks. All of it may be lost at any moment (a crash of
// mcplet): what must survive is in the runtimes' labels and with the shims; restarts are noted as well as a notebook
// can (server_memory.h). Touched only by the worker that has the server's key; results of pulls and probes come through
// an inbox.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "controller/core/conditions.h"
#include "controller/core/plan.h"
#include "controller/ports/gateway_servers.h"

namespace mcpfleet {

struct ExpectedShim {
  int pid = 0;
  MonoTime since{};  // when it was last seen connected, or first expected
};

// One revision of a server, as long as it is wanted, has an instance, or may be gone back to.
struct RevisionRecord {
  std::shared_ptr<const DesiredServer> spec;  // null when this mcplet never saw it
  ArtifactState artifact;
  RestartState restart;
};

struct InstanceMemory {
  bool ran = false;  // since mcplet started; what ended and never ran ended before our time
  ProbeState probe;
  std::string accounted_exit;              // the end that the restart state already counts
  std::optional<std::string> stopped_for;  // a restart by us is under way: the exit that follows is ours
  std::optional<MonoTime> draining_since;
  WallTime draining_at{};  // the same
};

struct Rollout {
  std::string revision;  // that is rolled out
  WallTime at{};         // when it began, as in `state`
  RolloutState state;
};

// A spec whose roll-out was taken back. Another spec is another try.
struct UndoneSpec {
  std::string uid, revision;
  int64_t generation = 0;
  std::string message;
  std::shared_ptr<const DesiredServer> before;  // in force instead; never null
};

struct ServerRecord {
  bool looked = false;            // at least once
  bool known = false;             // was desired since mcplet started
  bool recalled = false;          // the notebook was read
  std::string recalled_revision;  // what it was about; "" for nothing
  RestartPolicy recalled_policy;
  std::string noted;                             // the server's text there
  std::shared_ptr<const DesiredServer> current;  // the accepted spec in force
  // The newest spec, and it again as one whose secrets this node can't deliver; null when it can.
  std::shared_ptr<const DesiredServer> undeliverable_of, undeliverable;
  std::string before;  // the revision before it
  std::map<std::string, RevisionRecord> revisions;
  std::map<std::string, InstanceMemory> instances;  // by id; "" for a remote server
  std::optional<Rollout> rollout;
  std::optional<UndoneSpec> undone;
  SleepState sleep;
  bool suspended = false;
  int64_t generation = 0;
  Duration grace = std::chrono::seconds(10);
  std::string pending_instance, pending_revision;  // the id that a repeated Create uses again
  std::map<std::string, ExpectedShim> expected;
  std::map<std::string, InstanceReport> seen;  // at the last look
  std::set<std::string> leaving;               // that we stop or remove: their end is no drift
  std::map<std::string, int> failed_starts;    // of instances, in a row
  std::map<std::string, int64_t> oom_kills;    // of an instance's cgroup, as counted at the last exit by SIGKILL
  std::map<std::pair<RuntimeKind, std::string>, uint64_t> look_after;  // reports older than this are too old
  ActionFailure failure;
  std::optional<MonoTime> converging_since;  // a change not Ready yet: when its head was first seen
  std::optional<ServerStatus> status;        // as last written
};

struct PullDone {
  std::string revision;
  StatusOr<Artifact> artifact;
};
struct PullProgressed {
  std::string revision, message;
};
struct VerifyDone {
  std::string incarnation;
  StatusOr<Verification> result;
};
struct PingDone {
  std::string incarnation;
  Status result;
};
struct CatalogChanged {};
using Outcome = std::variant<PullDone, PullProgressed, VerifyDone, PingDone, CatalogChanged>;

// The spec of a revision; null when nobody here saw it.
std::shared_ptr<const DesiredServer> SpecOf(const ServerRecord& record, const std::string& revision);
// Of an instance, or of what is in force.
Probes ProbesOf(const ServerRecord& record, const std::string& instance);

// What others may ask of a server at any time.
struct ServerView {
  ServerStatus status;
  std::optional<InstanceReport> instance;
  std::optional<ProbeTarget> target;  // its main child or url; stdio is looked up when needed
  std::optional<ClientTarget> client;
};

}  // namespace mcpfleet
