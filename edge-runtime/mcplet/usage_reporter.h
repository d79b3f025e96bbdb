// What the servers of this node use, for people who look at a dashboard: a sample of each a minute, the last hour of
// them in memory, and while somebody looks one every five seconds of what he looks at, with the server's latest events.
// Nothing of it is written anywhere.
//
//   UsageReporter usage({.runtimes = …, .servers = …, .traffic = …, .events = …, .clock = clock, .send = …});
//   usage.Start();
//   usage.SetMeasured(message.measure);  // who looks at what, as the store tells it
//
// One thread, which asks the runtimes once a minute when nobody looks. Tests don't Start: they call Step.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "crd/server_status.h"
#include "edge-runtime/telemetry/event_log.h"
#include "edge-runtime/telemetry/gateway_series.h"
#include "edge-runtime/telemetry/usage.h"
#include "store/watch_message.h"

namespace mcpfleet {

// All must outlive the reporter.
struct UsageReporterDeps {
  std::map<RuntimeKind, ContainerRuntime*> runtimes;
  std::function<std::vector<ServerStatus>()> servers;  // those of this node
  const GatewaySeries& traffic;
  const EventLog& events;
  const Clock& clock;
  // Of each server a JSON object; see WatchClient::SendUsage. Null: there is nobody to send to.
  std::function<bool(std::vector<std::string>)> send;
};

class UsageReporter {
 public:
  explicit UsageReporter(UsageReporterDeps deps) : deps_(std::move(deps)) {}
  ~UsageReporter() { Stop(); }
  void Start();
  // Waits for what a runtime is being asked. Idempotent.
  void Stop();

  // All that people look at; none: nobody looks any more. From any thread; never blocks.
  void SetMeasured(std::vector<MeasuredServer> measured) LOCKS_EXCLUDED(mu_);

  // Does what is due at the clock's now; when to come again.
  MonoTime Step() LOCKS_EXCLUDED(mu_);

 private:
  using Counters = std::map<ServerKey, UsageCounters>;
  void Run();
  Counters Measure() const;
  void KeepMinute(Counters now);
  // Who looks at what, from now on; the history for those who have just begun.
  void Adopt(const std::vector<MeasuredServer>& measured, const Counters& now);
  void SendLive(Counters now);
  std::string Entry(const ServerKey& server, const std::vector<UsageSample>& samples, const std::vector<Event>* events);
  // Those that happened, or happened again, after `since`; the newest of them.
  std::vector<Event> EventsAfter(const ServerKey& server, WallTime since) const;
  void Send(std::vector<std::string> entries);
  bool watching() const { return all_ || !watched_.empty(); }

  const UsageReporterDeps deps_;

  // The thread's.
  std::map<ServerKey, UsageRing> rings_;
  Counters minute_before_, live_before_;
  MonoTime minute_at_{}, live_at_{};           // when the next is due
  std::optional<MonoTime> last_minute_;        // when the last was
  bool all_ = false;                           // somebody looks at the whole node
  std::set<ServerKey> watched_;                // and at these
  std::map<ServerKey, WallTime> events_told_;  // of the watched ones: until when
  int unsent_ = 0;                             // how often in a row nothing could be sent

  Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::optional<std::vector<MeasuredServer>> asked_ GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace mcpfleet
