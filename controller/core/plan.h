// The decision of the reconcile loop: what to do for one server now. Pure, so that the simulator and table tests can
// ask it anything; everything else here feeds it or carries out what it returns.
//
// The actions are carried out in order, and the rest is dropped when one fails: "remove the old, create the new" is
// safe because creating is never reached while removing failed. Then the server is looked at again.
//
//   desired -> | absent, suspended  | other revision         | this revision
//   -----------+--------------------+------------------------+---------------------------------------------
//   none       | nothing            | -                      | pull, create, start, start the main child, verify
//   instances  | stop and remove    | pull first, then stop, | keep one; start what stopped after its back-off,
//              |                    | remove, create         | restart what fails its probes
//
// With RollingUpdate the old instance is not stopped but served on while the new one starts beside it, never more than
// the two. Once the new one is verified clients go there; the old one drains: it takes nothing new and goes when its
// conversations are over, after drainTimeout at the latest. If the new one ceases to answer meanwhile, the old one
// serves again. A new revision that is not verified within progressDeadline is undone when autoRollback says so.
//
// With activation OnDemand a verified server that nobody uses sleeps: its main child ends, its shim stays to start it
// again at once; an instance without a shim goes. It wakes when a client asks or its spec changes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "controller/core/probe_tracker.h"
#include "controller/core/restart_policy.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/desired_state.h"
#include "controller/ports/session_host.h"

namespace mcpfleet {

// How long a shim may take to connect before its instance counts as lost. Real ones need 100 ms, 1 s at most.
inline constexpr Duration kShimConnectTimeout = std::chrono::seconds(30);

// How long the engine may take to tell that an attached server ended, after its connection did.
inline constexpr Duration kAttachPatience = std::chrono::seconds(5);

// After that many an instance that can't be started is made anew: an engine that was killed in the middle of a start
// may refuse every later one of the same container.
inline constexpr int kStartsOfOneInstance = 3;

// How long what drains or falls asleep goes on at least: the gateway has then heard that nothing new goes there, and
// what was on its way has arrived.
inline constexpr Duration kSettle = std::chrono::seconds(2);

struct PullArtifact {  // in the background
  bool previous = false;
};
struct CreateInstance {
  std::string instance;
};
struct StartInstance {
  std::string instance;
  RuntimeKind runtime;
};
// Tells the session host which process to expect, so that it adopts the sessions of the instance.
struct ExpectShim {
  std::string instance;
  int pid;
};
struct StartMain {
  std::string instance;
  bool previous = false;  // by the spec it was created from, not the desired one
};
struct StopMain {
  std::string instance;
  Duration grace;
  // A restart by policy when set ("LivenessFailed", "StartupTimeout"): goes through the back-off.
  std::string restart_reason, message;
  bool for_sleep = false;  // its instance stays, so a child that can't be ended is an error
};
struct StopInstance {
  std::string instance;
  RuntimeKind runtime;
  Duration grace;
  std::string restart_reason, message;
};
struct RemoveInstance {
  std::string instance;
  RuntimeKind runtime;
};
// The instance is gone: nobody waits for its shim or remembers its handshake any more.
struct ForgetInstance {
  std::string instance;
};
struct Verify {
  std::string instance;  // "" for a remote server
  bool startup = false;
};
struct Ping {
  std::string instance;
};
// The rest only changes what is remembered. Clients go to the new revision from now on.
struct BeginDrain {
  std::string instance;
};
// What drained serves again: the new revision has ceased to answer.
struct ResumeOld {
  std::string instance;
};
// The clock of progressDeadline starts.
struct BeginRollout {};
// The wanted revision is given up until the spec changes; the one before is wanted again.
struct UndoRollout {
  std::string message;
};
struct GoToSleep {
  std::string instance;
};
struct WakeUp {};
// What follows does not depend on what came before: it is carried out also when that failed.
struct Also {};
// Nothing to do before `when`, unless something changes.
struct WaitUntil {
  MonoTime when;
  std::string why;
};

using Action = std::variant<PullArtifact, CreateInstance, StartInstance, ExpectShim, StartMain, StopMain, StopInstance,
                            RemoveInstance, ForgetInstance, Verify, Ping, BeginDrain, ResumeOld, BeginRollout,
                            UndoRollout, GoToSleep, WakeUp, Also, WaitUntil>;

// "StopInstance weather-1a2b3c4d-x7k2p", for logs and tests.
std::string ToString(const Action& action);

struct InstanceView {
  InstanceReport report;
  bool expected = false;                  // the session host knows its pid
  MonoTime expected_at{};                 // since when, or since when the shim is away
  bool connected = false;                 // the shim, or without one the attached session
  std::optional<bool> separates_clients;  // while connected: SessionHost::SeparatesClients
  int failed_starts = 0;                  // in a row, of an instance that never ran
  MainState main;
  ProbeState probe;
  RestartState restart;   // of its revision
  int conversations = 0;  // of clients
  std::optional<MonoTime> draining_since;
};

struct ArtifactState {
  enum class Phase { kAbsent, kPulling, kReady, kFailed };
  Phase phase = Phase::kAbsent;
  std::string revision;  // that it belongs to
  Artifact artifact;     // kReady
  std::string message;   // kFailed: why; kPulling: how far
  int failures = 0;
  MonoTime retry_at{};  // kFailed
};

// The new revision that runs beside the old one and is not verified yet.
struct RolloutState {
  MonoTime since{};
  bool old_was_good = false;                    // the old revision was verified at some time during it
  std::shared_ptr<const DesiredServer> before;  // what to go back to; null when nobody knows it
};

struct SleepState {
  enum class Phase { kAwake, kAsleep, kWaking };  // waking until it is verified again
  Phase phase = Phase::kAwake;
  MonoTime since = MonoTime::min();  // of the phase
  std::string uid, revision;         // what fell asleep
  int64_t generation = 0;
  Verification last;  // what it answered before
};

struct Observed {
  std::vector<InstanceView> instances;  // of this server, in all runtimes
  bool removals_allowed = false;        // whether "not desired" may be believed
  bool known = false;                   // was desired since mcplet started: otherwise its instances are orphans
  // The runtime for the desired spec, and why it can't be used now: nothing is asked of it then.
  RuntimeKind runtime = RuntimeKind::kProcess;
  std::string runtime_reason, runtime_message;
  MonoTime runtime_retry_at = MonoTime::max();  // when the reason may be gone without anything changing
  ArtifactState artifact;                       // of the desired revision
  // What the running instance was created from when that is not the desired spec; null when this mcplet never saw it.
  std::shared_ptr<const DesiredServer> previous;
  ArtifactState previous_artifact;
  RestartState restart;                       // of the desired revision
  ProbeState probe;                           // of a remote server
  std::string new_instance;                   // the id that a new instance gets
  Duration grace = std::chrono::seconds(10);  // for a server whose spec is gone
  Duration drain_timeout = std::chrono::minutes(10);
  std::optional<RolloutState> rollout;  // of the desired revision
  std::string undone;                   // why the newest revision was given up and `desired` is the one before; or ""
  SleepState sleep;
  bool traffic = false;               // whether clients can be seen at all: else nothing sleeps
  std::optional<MonoTime> last_used;  // by a client
};

// Whether an instance is what `desired` asks for.
bool Matches(const InstanceReport& report, const DesiredServer& desired);
// Null: it is not there.
const InstanceView* FindInstance(const Observed& observed, const std::string& instance);
// Of the desired revision: running before stopped, newest first. Null when there is none.
const InstanceView* WantedInstance(const DesiredServer& desired, const Observed& observed);
// The one of another revision that serves clients until the wanted one can: it runs and does not drain; verified before
// not, then oldest first. Null when there is none.
const InstanceView* OldInstance(const DesiredServer& desired, const Observed& observed);
// Where clients go: to the wanted instance once it is verified, before that to the old one if there is one.
const InstanceView* ServingInstance(const DesiredServer* desired, const Observed& observed);
// Those that are probed and restarted.
std::vector<const InstanceView*> TendedInstances(const DesiredServer* desired, const Observed& observed);
// The roll-out has failed: "" or why. `desired` is not verified.
std::string RolloutFailure(const DesiredServer& desired, const Observed& observed, MonoTime now);
// Asleep, or waking with nothing gone wrong so far: a client's request waits for it.
bool Sleeps(const DesiredServer& desired, const Observed& observed);
// Rejected, with secrets that can't be used, or pending without a version before: what runs stays, nothing new starts.
bool OnHold(const DesiredServer& desired);
bool IsRemote(const DesiredServer& desired);
// Whether the server itself runs in this instance: its main child, or without a shim the instance.
bool MainRuns(const InstanceView& instance);
// An attached instance whose session ended with the mcplet before this one: it can't be spoken to any more.
bool SessionLost(const InstanceView& instance);

// `desired` null: not placed here (any more).
std::vector<Action> Plan(const DesiredServer* desired, const Observed& observed, MonoTime now);

}  // namespace mcpfleet
