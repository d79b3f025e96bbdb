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
#pragma once

#include <memory>
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

struct PullArtifact {};  // of the desired revision; in the background
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
// Nothing to do before `when`, unless something changes.
struct WaitUntil {
  MonoTime when;
  std::string why;
};

using Action = std::variant<PullArtifact, CreateInstance, StartInstance, ExpectShim, StartMain, StopMain, StopInstance,
                            RemoveInstance, ForgetInstance, Verify, Ping, WaitUntil>;

// "StopInstance weather-1a2b3c4d-x7k2p", for logs and tests.
std::string ToString(const Action& action);

struct InstanceView {
  InstanceReport report;
  bool expected = false;   // the session host knows its pid
  MonoTime expected_at{};  // since when, or since when the shim is away
  bool connected = false;  // the shim, or without one the attached session
  int failed_starts = 0;   // in a row, of an instance that never ran
  MainState main;
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
  RestartState restart;
  ProbeState probe;
  std::string new_instance;                   // the id that a new instance gets
  Duration grace = std::chrono::seconds(10);  // for a server whose spec is gone
};

// Whether an instance is what `desired` asks for.
bool Matches(const InstanceReport& report, const DesiredServer& desired);
// The instance that serves (or will): of the desired revision if there is one, running before stopped, newest first.
// Null when there is none.
const InstanceView* ServingInstance(const DesiredServer* desired, const Observed& observed);
// Rejected, or pending without a version before: what runs stays, nothing new starts.
bool OnHold(const DesiredServer& desired);
bool IsRemote(const DesiredServer& desired);
// Whether the server itself runs in this instance: its main child, or without a shim the instance.
bool MainRuns(const InstanceView& instance);
// An attached instance whose session ended with the mcplet before this one: it can't be spoken to any more.
bool SessionLost(const InstanceView& instance);

// `desired` null: not placed here (any more).
std::vector<Action> Plan(const DesiredServer* desired, const Observed& observed, MonoTime now);

}  // namespace mcpfleet
