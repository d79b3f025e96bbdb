// What is known from asking a server over MCP, and when to ask again. Pure state per server: results go in,
// NextProbe says what to do now or when to look again. The asking itself is the Prober's.
//
// Startup: Verify until the first handshake, restart when `startup_timeout` passes without one.
// Readiness: Verify every readiness_period; `readiness_failures` in a row make it not verified; never a restart.
//   Earlier when the server says that its lists changed (mcp-protocol §4.1).
// Liveness: Ping every liveness_period; `liveness_failures` in a row are a reason to restart.
// Periods of 10 s or more end at a whole second of the clock: up to a second later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/prober.h"
#include "crd/server_spec.h"

namespace mcpfleet {

enum class ProbeKind { kNone, kVerify, kPing };

struct ProbeState {
  std::string incarnation;  // which child: results of another one are dropped
  MonoTime started{};       // when this child began
  ProbeKind in_flight = ProbeKind::kNone;
  bool handshake = false;  // startup is over
  bool verified = false;
  MonoTime verified_at{};  // since when, while verified
  Verification last;       // of the last successful Verify
  int startup_failures = 0, readiness_failures = 0, liveness_failures = 0;
  MonoTime next_verify{}, next_ping{};
  MonoTime asked_at = MonoTime::min();        // when the last Verify ended
  std::string reason = "NotProbed", message;  // why it is not verified
};

struct ProbeDecision {
  enum class What { kWait, kVerify, kPing, kRestart };
  What what = What::kWait;
  MonoTime when = MonoTime::max();  // kWait: look again then
  std::string reason, message;      // kRestart: "StartupTimeout" or "LivenessFailed"
};

// Another child (or another server behind the same name): all is unknown again.
void BeginIncarnation(const std::string& incarnation, MonoTime now, ProbeState* state);
// `restartable` false for remote servers: they are asked for ever, ever more slowly.
ProbeDecision NextProbe(const ProbeState& state, const Probes& probes, bool restartable, MonoTime now);
// `chance` in [0, 1) spreads the periods of servers that started together.
void RecordVerify(const StatusOr<Verification>& result, const Probes& probes, MonoTime now, double chance,
                  ProbeState* state);
void RecordPing(const Status& result, const Probes& probes, MonoTime now, ProbeState* state);

// The server said that its lists changed: Verify soon, but no more often than every kCatalogPeriod, however much it
// says.
inline constexpr Duration kCatalogPeriod = std::chrono::seconds(5);
void NoteCatalogChanged(MonoTime now, ProbeState* state);

// "" when everything that `probes` requires is there, else what is missing. `reason` gets RequiredToolMissing or
// RequiredCapabilityMissing.
std::string MissingRequirements(const Verification& verification, const Probes& probes, std::string* reason);
// How long it has been verified without a break.
Duration HealthyFor(const ProbeState& state, MonoTime now);

}  // namespace mcpfleet
