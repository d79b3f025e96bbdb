#include "controller/core/server_memory.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "crd/codec.h"
#include "crd/spec_codec.h"

namespace mcpfleet {
namespace {

// Of a page of the notebook, which also holds tails of stderr.
constexpr size_t kMostSpecBytes = 6 << 10, kMostNamesBytes = 3 << 10;

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

Json EncodeRestart(const RestartState& restart) {
  Json json = {{"verdict", WordOf(restart.verdict)},
               {"nextAttemptAt", Nanoseconds(restart.next_attempt_at)},
               {"attempts", restart.attempts},
               {"failures", restart.failures},
               {"count", restart.count},
               {"endedRevision", restart.revision},
               {"lastReason", restart.last_reason},
               {"lastAt", Nanoseconds(restart.last_at)},
               {"message", restart.message}};
  if (restart.last_exit) {
    const ExitInfo& exit = *restart.last_exit;
    json["lastExit"] = {{"code", exit.code}, {"signal", exit.signal}, {"oom", exit.oom}};
  }
  return json;
}

RestartState DecodeRestart(const Json& json, Duration most, MonoTime now, WallTime wall) {
  RestartState restart;
  restart.verdict = VerdictOf(GetString(json, "verdict"));
  restart.attempts = Count(json, "attempts");
  restart.failures = Count(json, "failures");
  restart.count = std::max<int64_t>(0, GetInt(json, "count"));
  restart.revision = GetString(json, "endedRevision");
  restart.last_reason = GetString(json, "lastReason");
  restart.last_at = TimeOf(json, "lastAt");
  restart.message = GetString(json, "message");
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
  return restart;
}

Json EncodeOther(const NotedRevision& other) {
  return {{"uid", other.server.uid},
          {"generation", other.server.generation},
          {"revision", other.server.revision},
          {"spec", EncodeServerSpec(other.server.spec)},
          {"restart", EncodeRestart(other.restart)}};
}

void DecodeOthers(const Json& list, Duration most, MonoTime now, WallTime wall, ServerMemory* memory) {
  if (!list.is_array()) return;
  for (const Json& json : list) {
    StatusOr<ServerSpec> spec = DecodeServerSpec(GetMember(json, "spec"));
    if (!spec.ok() || GetString(json, "revision").empty()) continue;
    NotedRevision other;
    other.server.uid = GetString(json, "uid");
    other.server.generation = GetInt(json, "generation");
    other.server.revision = GetString(json, "revision");
    other.server.spec = *std::move(spec);
    other.restart = DecodeRestart(GetMember(json, "restart"), most, now, wall);
    memory->others.push_back(std::move(other));
  }
}

Json EncodeSleep(const SleepState& sleep) {
  ServerStatus findings;
  findings.key.name = "-";
  findings.server_info = sleep.last.server_info;
  findings.catalog = sleep.last.catalog;
  const auto bytes = [](const std::vector<std::string>& names) {
    size_t sum = 0;
    for (const std::string& name : names) sum += name.size() + 8;
    return sum;
  };
  // Their number is told all the same.
  if (bytes(findings.catalog.tool_names) > kMostNamesBytes) findings.catalog.tool_names.clear();
  const Json status = ServerStatusToJson(findings);
  Json json = {{"generation", sleep.generation}, {"revision", sleep.revision}, {"modern", sleep.last.modern}};
  for (const char* part : {"serverInfo", "catalog"}) {
    if (status.contains(part)) json[part] = status[part];
  }
  return json;
}

SleepState DecodeSleep(const Json& json, const std::string& uid) {
  SleepState sleep;
  Json status = {{"name", "-"}};
  for (const char* part : {"serverInfo", "catalog"}) {
    if (json.contains(part)) status[part] = json[part];
  }
  StatusOr<ServerStatus> findings = ServerStatusFromJson(status);
  if (!findings.ok()) return sleep;
  sleep.phase = SleepState::Phase::kAsleep;
  sleep.uid = uid;
  sleep.generation = GetInt(json, "generation");
  sleep.revision = GetString(json, "revision");
  sleep.last.server_info = findings->server_info;
  sleep.last.catalog = findings->catalog;
  sleep.last.modern = GetBool(json, "modern");
  return sleep;
}

}  // namespace

std::string EncodeMemory(const ServerMemory& memory) {
  const RestartState& restart = memory.restart;
  const bool asleep = memory.sleep.phase == SleepState::Phase::kAsleep;
  const bool rolls = !memory.others.empty() || !memory.drains.empty() || memory.rollout || memory.undone;
  if (restart.last_reason.empty() && memory.oom_kills.empty() && !rolls && !asleep) return "";
  Json json = EncodeRestart(restart);
  json["uid"] = memory.uid;
  json["generation"] = memory.generation;
  json["revision"] = memory.revision;
  json["policy"] = EncodePolicy(memory.policy);
  json["stderrTail"] = restart.stderr_tail;
  for (const auto& [instance, exit] : memory.accounted_exits) json["accountedExits"][instance] = exit;
  for (const auto& [instance, kills] : memory.oom_kills) json["oomKills"][instance] = kills;
  for (const auto& [instance, since] : memory.drains) json["drains"][instance] = Nanoseconds(since);
  size_t spec_bytes = 0;
  for (const NotedRevision& other : memory.others) {
    Json encoded = EncodeOther(other);
    spec_bytes += DumpJson(encoded).size();
    if (spec_bytes <= kMostSpecBytes) json["others"].push_back(std::move(encoded));
  }
  if (memory.rollout) {
    const NotedRollout& rollout = *memory.rollout;
    json["rollout"] = {{"revision", rollout.revision},
                       {"since", Nanoseconds(rollout.since)},
                       {"oldWasGood", rollout.old_was_good},
                       {"before", rollout.before}};
  }
  if (memory.undone) {
    const NotedUndone& undone = *memory.undone;
    json["undone"] = {{"revision", undone.revision},
                      {"generation", undone.generation},
                      {"message", undone.message},
                      {"before", undone.before}};
  }
  if (asleep) json["sleep"] = EncodeSleep(memory.sleep);
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
  memory.restart = DecodeRestart(json, most, now, wall);
  memory.restart.stderr_tail = GetString(json, "stderrTail");
  if (const Json& exits = GetMember(json, "accountedExits"); exits.is_object()) {
    for (const auto& [instance, exit] : exits.items()) memory.accounted_exits[instance] = GetString(exits, instance);
  }
  if (const Json& kills = GetMember(json, "oomKills"); kills.is_object()) {
    for (const auto& [instance, count] : kills.items()) memory.oom_kills[instance] = GetInt(kills, instance);
  }
  if (const Json& drains = GetMember(json, "drains"); drains.is_object()) {
    for (const auto& [instance, since] : drains.items()) memory.drains[instance] = TimeOf(drains, instance);
  }
  DecodeOthers(GetMember(json, "others"), most, now, wall, &memory);
  if (const Json& rollout = GetMember(json, "rollout"); rollout.is_object()) {
    memory.rollout = NotedRollout{GetString(rollout, "revision"), TimeOf(rollout, "since"),
                                  GetBool(rollout, "oldWasGood"), GetString(rollout, "before")};
  }
  if (const Json& undone = GetMember(json, "undone"); undone.is_object()) {
    memory.undone = NotedUndone{GetString(undone, "revision"), GetInt(undone, "generation"),
                                GetString(undone, "message"), GetString(undone, "before")};
  }
  if (const Json& sleep = GetMember(json, "sleep"); sleep.is_object()) memory.sleep = DecodeSleep(sleep, memory.uid);
  return memory;
}

}  // namespace mcpfleet
