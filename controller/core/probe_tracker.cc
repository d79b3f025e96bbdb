#include "controller/core/probe_tracker.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kMessageBytes = 512;

// A server that refuses connections while it starts is asked again soon, one that stays away less and less.
Duration RetryAfter(int failures, Duration at_most) {
  Duration delay = milliseconds(50) * (1 << std::min(failures - 1, 10));
  return std::min<Duration>(delay, at_most);
}

// Probes that are far away are due at whole seconds, so that those of several servers are one waking of the processor.
MonoTime After(MonoTime now, Duration period) {
  const MonoTime due = now + period;
  const Duration over = due.time_since_epoch() % seconds(1);
  return period < seconds(10) || over == Duration::zero() ? due : due + (seconds(1) - over);
}

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

void BeginIncarnation(const std::string& incarnation, MonoTime now, ProbeState* state) {
  *state = ProbeState{};
  state->incarnation = incarnation;
  state->started = now;
  state->next_verify = now;
}

ProbeDecision NextProbe(const ProbeState& state, const Probes& probes, bool restartable, MonoTime now) {
  using What = ProbeDecision::What;
  // One question at a time; its answer wakes the server.
  if (state.in_flight != ProbeKind::kNone) return {};
  if (!state.handshake) {
    const MonoTime give_up = state.started + probes.startup_timeout;
    if (restartable && now >= give_up) {
      return {What::kRestart, now, "StartupTimeout",
              "no MCP handshake within " + FormatDuration(probes.startup_timeout) +
                  (state.message.empty() ? "" : ": " + state.message)};
    }
    if (now >= state.next_verify) return {What::kVerify, now, "", ""};
    return {What::kWait, restartable ? std::min(state.next_verify, give_up) : state.next_verify, "", ""};
  }
  if (restartable && state.liveness_failures >= probes.liveness_failures) {
    return {What::kRestart, now, "LivenessFailed", state.message};
  }
  if (now >= state.next_verify) return {What::kVerify, now, "", ""};
  if (now >= state.next_ping) return {What::kPing, now, "", ""};
  return {What::kWait, std::min(state.next_verify, state.next_ping), "", ""};
}

void RecordVerify(const StatusOr<Verification>& result, const Probes& probes, MonoTime now, double chance,
                  ProbeState* state) {
  state->in_flight = ProbeKind::kNone;
  state->asked_at = now;
  if (!result.ok()) {
    state->message = Printable(Message(result.status()), kMessageBytes);
    if (!state->handshake) {
      ++state->startup_failures;
      state->reason = result.status().code() == StatusCode::kFailedPrecondition ? "NotMCP" : "HandshakeFailed";
      // A local server is restarted by then; a remote one that stays away is asked less often.
      state->next_verify =
          now + RetryAfter(state->startup_failures, state->startup_failures < 60 ? seconds(1) : seconds(30));
      return;
    }
    ++state->readiness_failures;
    state->next_verify = After(now, probes.readiness_period);
    if (state->readiness_failures >= probes.readiness_failures || !state->verified) {
      state->verified = false;
      state->reason = "ReadinessFailed";
    }
    return;
  }
  const bool first = !state->handshake;
  state->handshake = true;
  state->readiness_failures = 0;
  state->liveness_failures = 0;
  state->last = *result;
  // The first period is shortened by chance, so that servers started together are not asked together for ever.
  const double share = first ? 0.5 + 0.5 * chance : 1.0;
  const auto part = [share](Duration d) {
    return Duration(static_cast<int64_t>(static_cast<double>(d.count()) * share));
  };
  state->next_verify = After(now, part(probes.readiness_period));
  state->next_ping = After(now, part(probes.liveness_period));
  std::string reason;
  std::string missing = MissingRequirements(*result, probes, &reason);
  if (!missing.empty()) {
    state->verified = false;
    state->reason = reason;
    state->message = missing;
    return;
  }
  if (!state->verified) state->verified_at = now;
  state->verified = true;
  state->reason = "Verified";
  state->message.clear();
}

void RecordPing(const Status& result, const Probes& probes, MonoTime now, ProbeState* state) {
  state->in_flight = ProbeKind::kNone;
  state->next_ping = After(now, probes.liveness_period);
  if (result.ok()) {
    state->liveness_failures = 0;
    return;
  }
  ++state->liveness_failures;
  state->message = Printable(Message(result), kMessageBytes);
  if (state->liveness_failures >= probes.liveness_failures) {
    state->verified = false;
    state->reason = "LivenessFailed";
  }
}

void NoteCatalogChanged(MonoTime now, ProbeState* state) {
  // Before the handshake a Verify is due anyway; one under way sees the change, and a server that announces one
  // whenever it is asked must not be asked for ever.
  if (!state->handshake || state->in_flight == ProbeKind::kVerify) return;
  state->next_verify = std::min(state->next_verify, std::max(now, state->asked_at + kCatalogPeriod));
}

std::string MissingRequirements(const Verification& verification, const Probes& probes, std::string* reason) {
  std::vector<std::string> missing;
  for (const std::string& tool : probes.required_tools) {
    if (!Contains(verification.catalog.tool_names, tool)) missing.push_back(tool);
  }
  if (!missing.empty()) {
    *reason = "RequiredToolMissing";
    return "the server does not offer the tools " + Join(missing, ", ");
  }
  for (const std::string& capability : probes.required_capabilities) {
    if (!Contains(verification.server_info.capabilities, capability)) missing.push_back(capability);
  }
  if (!missing.empty()) {
    *reason = "RequiredCapabilityMissing";
    return "the server lacks the capabilities " + Join(missing, ", ");
  }
  return "";
}

Duration HealthyFor(const ProbeState& state, MonoTime now) {
  return state.verified ? now - state.verified_at : Duration::zero();
}

}  // namespace mcpfleet
