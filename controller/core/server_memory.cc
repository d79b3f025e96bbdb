#include "controller/core/server_memory.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet {
namespace {

int64_t Nanoseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

WallTime TimeOf(const Json& json, std::string_view key) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(GetInt(json, key))));
}

int Count(const Json& json, std::string_view key) {
  return static_cast<int>(std::clamp<int64_t>(GetInt(json, key), 0, 1 << 20));
}

std::string_view WordOf(RestartVerdict verdict) {
  switch (verdict) {
    case RestartVerdict::kNone:
      return "none";
    case RestartVerdict::kRestart:
      return "restart";
    case RestartVerdict::kCompleted:
      return "completed";
    case RestartVerdict::kFailed:
      return "failed";
  }
  return "none";
}

RestartVerdict VerdictOf(std::string_view word) {
  for (RestartVerdict verdict : {RestartVerdict::kRestart, RestartVerdict::kCompleted, RestartVerdict::kFailed}) {
    if (word == WordOf(verdict)) return verdict;
  }
  return RestartVerdict::kNone;
}

Json EncodePolicy(const RestartPolicy& policy) {
  return {static_cast<int>(policy.condition), policy.backoff_initial.count(), policy.backoff_max.count(),
          policy.reset_after.count(), policy.max_attempts};
}

// One that nobody has when the text tells none.
RestartPolicy DecodePolicy(const Json& json) {
  if (!json.is_array() || json.size() != 5) return {.max_attempts = -1};
  const auto number = [&json](size_t i) { return json[i].is_number_integer() ? json[i].get<int64_t>() : -1; };
  return {.condition = static_cast<RestartCondition>(number(0)),
          .backoff_initial = Duration(number(1)),
          .backoff_max = Duration(number(2)),
          .reset_after = Duration(number(3)),
          .max_attempts = static_cast<int>(number(4))};
}

}  // namespace

std::string EncodeMemory(const ServerMemory& memory) {
  const RestartState& restart = memory.restart;
  if (restart.last_reason.empty() && memory.oom_kills.empty()) return "";
  Json json = {{"uid", memory.uid},
               {"generation", memory.generation},
               {"revision", memory.revision},
               {"policy", EncodePolicy(memory.policy)},
               {"verdict", WordOf(restart.verdict)},
               {"nextAttemptAt", Nanoseconds(restart.next_attempt_at)},
               {"attempts", restart.attempts},
               {"failures", restart.failures},
               {"count", restart.count},
               {"endedRevision", restart.revision},
               {"lastReason", restart.last_reason},
               {"lastAt", Nanoseconds(restart.last_at)},
               {"message", restart.message},
               {"stderrTail", restart.stderr_tail},
               {"accountedExit", memory.accounted_exit}};
  if (restart.last_exit) {
    const ExitInfo& exit = *restart.last_exit;
    json["lastExit"] = {{"code", exit.code}, {"signal", exit.signal}, {"oom", exit.oom}};
  }
  for (const auto& [instance, kills] : memory.oom_kills) json["oomKills"][instance] = kills;
  return DumpJson(json);
}

std::optional<ServerMemory> DecodeMemory(std::string_view text, Duration most, MonoTime now, WallTime wall) {
  StatusOr<Json> parsed = ParseJson(text);
  if (!parsed.ok() || !parsed->is_object()) return std::nullopt;
  const Json& json = *parsed;
  ServerMemory memory;
  memory.uid = GetString(json, "uid");
  memory.generation = GetInt(json, "generation");
  memory.revision = GetString(json, "revision");
  memory.policy = DecodePolicy(GetMember(json, "policy"));
  memory.accounted_exit = GetString(json, "accountedExit");
  RestartState& restart = memory.restart;
  restart.verdict = VerdictOf(GetString(json, "verdict"));
  restart.attempts = Count(json, "attempts");
  restart.failures = Count(json, "failures");
  restart.count = std::max<int64_t>(0, GetInt(json, "count"));
  restart.revision = GetString(json, "endedRevision");
  restart.last_reason = GetString(json, "lastReason");
  restart.last_at = TimeOf(json, "lastAt");
  restart.message = GetString(json, "message");
  restart.stderr_tail = GetString(json, "stderrTail");
  if (const Json& exit = GetMember(json, "lastExit"); exit.is_object()) {
    restart.last_exit = ExitInfo{.code = static_cast<int>(GetInt(exit, "code")),
                                 .signal = static_cast<int>(GetInt(exit, "signal")),
                                 .oom = GetBool(exit, "oom")};
  }
  if (restart.verdict == RestartVerdict::kRestart) {
    const WallTime at = TimeOf(json, "nextAttemptAt");
    // Compared before the subtraction, which could overflow for a damaged time.
    const Duration left = at <= wall ? Duration::zero() : at >= wall + most ? most : Duration(at - wall);
    restart.next_attempt = now + left;
    restart.next_attempt_at = wall + left;
  }
  if (const Json& kills = GetMember(json, "oomKills"); kills.is_object()) {
    for (const auto& [instance, count] : kills.items()) memory.oom_kills[instance] = GetInt(kills, instance);
  }
  return memory;
}

}  // namespace mcpfleet
