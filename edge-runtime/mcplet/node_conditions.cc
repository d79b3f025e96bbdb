#include "edge-runtime/mcplet/node_conditions.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include <algorithm>
#include <cstdlib>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

// Below these a node is under pressure: a package install needs some hundred megabytes, a server some ten.
constexpr int64_t kLeastDisk = int64_t{256} << 20;
constexpr char kStarting[] = "Starting";
constexpr Duration kClockDifference = std::chrono::minutes(5);
constexpr int64_t kLeastMemory = int64_t{64} << 20;

int64_t KilobytesOf(std::string_view meminfo, std::string_view name) {
  size_t at = meminfo.find(name);
  if (at == std::string_view::npos) return 0;
  return strtoll(std::string(meminfo.substr(at + name.size(), 30)).c_str(), nullptr, 10);
}

Condition Make(std::string_view type, bool value, std::string_view reason, std::string message) {
  return {.type = std::string(type),
          .status = value ? ConditionStatus::kTrue : ConditionStatus::kFalse,
          .reason = std::string(reason),
          .message = std::move(message)};
}

std::string Megabytes(int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

Condition RuntimeReady(const std::map<RuntimeKind, RuntimeCheck>& runtimes) {
  std::vector<std::string> usable, reasons;
  for (const auto& [kind, check] : runtimes) {
    std::string name(ToString(kind));
    if (check.available)
      usable.push_back(name + " " + check.version);
    else
      reasons.push_back(name + ": " + check.reason);
  }
  if (!usable.empty()) return Make("RuntimeReady", true, "RuntimesUsable", Join(usable, ", "));
  return Make("RuntimeReady", false, "NoRuntime", reasons.empty() ? "no runtime is configured" : Join(reasons, "; "));
}

// A store that is read but takes no status leaves a fleet that looks at the last one for ever.
Condition StoreReachable(const NodeFacts& facts) {
  if (!facts.store_reachable) {
    return Make("StoreReachable", false, "StoreUnreachable",
                facts.store_trouble.empty() ? facts.status_refused : facts.store_trouble);
  }
  if (facts.status_refused.empty() && facts.bad_answer.empty()) return Make("StoreReachable", true, "StoreAnswers", "");
  if (facts.status_refused.empty()) {
    return Make("StoreReachable", true, "BadAnswers",
                "within the last hour it said what can't be used, and it was ignored: " + facts.bad_answer);
  }
  return Make("StoreReachable", false, "StatusNotWritten",
              "the desired state is read, but this node's status can't be written: " + facts.status_refused);
}

// Clients are served with the certificate before; that ends with its validity.
Condition GatewayReady(const NodeFacts& facts) {
  if (!facts.gateway_problem.empty()) return Make("GatewayReady", false, "NotListening", facts.gateway_problem);
  if (facts.certificate_problem.empty()) return Make("GatewayReady", true, "Listening", "");
  return Make("GatewayReady", true, "CertificateNotRenewed",
              "the certificate from before is used: " + facts.certificate_problem);
}

// Lost lines are shown for an hour.
Condition LogsShipped(const NodeFacts& facts) {
  if (!facts.logs_lost.empty()) return Make("LogsShipped", false, "LinesLost", facts.logs_lost);
  if (!facts.logs_waiting.empty())
    return Make("LogsShipped", false, "Waiting", "logs wait on this node: " + facts.logs_waiting);
  return Make("LogsShipped", true, "Shipping", "");
}

Condition ClockSynced(const NodeFacts& facts, WallTime now) {
  // Some minutes are the difference of two good clocks; more is a node without an RTC, or one that was set back.
  if (TrustedTime(now, facts.build_time, facts.head_time) > now + kClockDifference) {
    return Make(
        "ClockSynced", false, "ClockBehind",
        "the clock shows a time before the last head or this build; expiry is judged by those, times in statuses "
        "are wrong");
  }
  return Make("ClockSynced", facts.clock_synced, facts.clock_synced ? "Synchronised" : "NotSynchronised",
              facts.clock_synced ? "" : "the kernel's clock is not disciplined by NTP; times in statuses may be wrong");
}

}  // namespace

WallTime TrustedTime(WallTime system, WallTime build, const std::string& head_time) {
  WallTime latest = std::max(system, build);
  if (auto head = ParseTime(head_time); !head_time.empty() && head.ok()) latest = std::max(latest, *head);
  return latest;
}

NodeFacts ReadKernelFacts(const std::string& state_directory) {
  NodeFacts facts;
  timex clock{};
  facts.clock_synced = adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  struct statvfs disk {};
  if (statvfs(state_directory.c_str(), &disk) == 0) {
    facts.disk_free_bytes = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
    facts.disk_total_bytes = static_cast<int64_t>(disk.f_blocks) * static_cast<int64_t>(disk.f_frsize);
  }
  if (auto meminfo = ReadFile("/proc/meminfo", size_t{1} << 16); meminfo.ok()) {
    facts.memory_available_bytes = KilobytesOf(*meminfo, "MemAvailable:") * 1024;
    facts.memory_total_bytes = KilobytesOf(*meminfo, "MemTotal:") * 1024;
  }
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) facts.cpus = CPU_COUNT(&cpus);
  return facts;
}

bool IsStarting(const std::vector<Condition>& conditions) {
  const Condition* ready = FindCondition(conditions, "Ready");
  return ready == nullptr || ready->reason == kStarting;
}

std::vector<Condition> NodeConditions(const NodeFacts& facts, std::vector<Condition> previous, WallTime now) {
  const bool looked = facts.synced || !IsStarting(previous);
  std::vector<Condition> next = std::move(previous);
  Condition runtime = RuntimeReady(facts.runtimes);
  bool runtime_ready = runtime.status == ConditionStatus::kTrue;
  bool expired = false;
  if (auto until = ParseTime(facts.valid_until); !facts.valid_until.empty() && until.ok()) {
    expired = *until < TrustedTime(now, facts.build_time, facts.head_time);
  }
  Condition fresh =
      !facts.distrust.empty() ? Make("DesiredStateFresh", false, "HeadNotTrusted", facts.distrust)
      : !facts.has_head       ? Make("DesiredStateFresh", false, "NoHead", "nothing was ever applied to the store")
      : expired ? Make("DesiredStateFresh", false, "HeadExpired", "the head was valid until " + facts.valid_until)
                : Make("DesiredStateFresh", true, "HeadAccepted", "");
  if (facts.store_used) {
    SetCondition(&next, StoreReachable(facts), now);
    SetCondition(&next, std::move(fresh), now);
  }
  if (facts.cluster_used) {
    const bool answers = facts.cluster_problem.empty();
    SetCondition(
        &next,
        Make("ClusterReachable", answers, answers ? "ClusterAnswers" : "ClusterUnreachable", facts.cluster_problem),
        now);
  }
  for (Condition condition :
       {runtime, ClockSynced(facts, now),
        facts.disk_free_bytes >= kLeastDisk
            ? Make("DiskPressure", false, "EnoughSpace", "")
            : Make("DiskPressure", true, "LittleSpace",
                   Megabytes(facts.disk_free_bytes) + " are free below the state directory"),
        facts.memory_available_bytes >= kLeastMemory
            ? Make("MemoryPressure", false, "EnoughMemory", "")
            : Make("MemoryPressure", true, "LittleMemory", Megabytes(facts.memory_available_bytes) + " are available"),
        !looked          ? Make("Ready", false, kStarting, "servers are being looked at for the first time")
        : !runtime_ready ? Make("Ready", false, runtime.reason, runtime.message)
                         : Make("Ready", true, "NodeReady", "")}) {
    SetCondition(&next, std::move(condition), now);
  }
  if (facts.gateway_wanted) {
    SetCondition(&next, GatewayReady(facts), now);
  }
  if (facts.tunnel) SetCondition(&next, *facts.tunnel, now);
  if (facts.logs_shipped) {
    SetCondition(&next, LogsShipped(facts), now);
  }
  return next;
}

}  // namespace mcpfleet
