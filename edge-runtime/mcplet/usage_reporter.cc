#include "edge-runtime/mcplet/usage_reporter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet {
namespace {

constexpr Duration kMinute = std::chrono::minutes(1);
constexpr Duration kLive = std::chrono::seconds(5);
constexpr Duration kUsageTimeout = std::chrono::seconds(3);
constexpr size_t kEvents = 30;  // of a server, in one message
// Nothing went out for a minute: whoever looked has gone with the connection, and the next one tells who looks.
constexpr int kUnsent = 12;

// What is not known is null. To thousandths: more digits would only be longer.
Json Known(double value) { return value < 0 ? Json() : Json(std::round(value * 1000) / 1000); }

Json ToJson(const UsageSample& sample) {
  return {{"at", sample.at_ms},          {"seconds", Known(sample.seconds)},
          {"cpu", Known(sample.cpu)},    {"memory", sample.memory_bytes < 0 ? Json() : Json(sample.memory_bytes)},
          {"sessions", sample.sessions}, {"calls", sample.calls},
          {"errors", sample.failed},     {"p50", Known(sample.p50_ms)},
          {"p99", Known(sample.p99_ms)}};
}

Json ToJson(const Event& event) {
  return {{"time", FormatTime(event.time)},
          {"firstTime", FormatTime(event.first_time)},
          {"type", event.type},
          {"reason", event.reason},
          {"message", event.message},
          {"count", event.count}};
}

}  // namespace

void UsageReporter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void UsageReporter::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void UsageReporter::SetMeasured(std::vector<MeasuredServer> measured) {
  MutexLock lock(&mu_);
  // Who began with the one before, which nobody has looked at yet, has nothing either.
  if (asked_) {
    for (MeasuredServer& each : measured) {
      each.history |= std::any_of(asked_->begin(), asked_->end(), [&each](const MeasuredServer& before) {
        return before.history && before.namespace_ == each.namespace_ && before.server == each.server;
      });
    }
  }
  asked_ = std::move(measured);
  wake_.NotifyAll();
}

void UsageReporter::Run() {
  for (;;) {
    const Deadline next(Step());
    MutexLock lock(&mu_);
    while (!stopping_ && !asked_ && wake_.WaitUntil(&mu_, next)) {
      // Woken early: only these count.
    }
    if (stopping_) return;
  }
}

MonoTime UsageReporter::Step() {
  std::optional<std::vector<MeasuredServer>> asked;
  {
    MutexLock lock(&mu_);
    asked.swap(asked_);
  }
  const MonoTime now = deps_.clock.Now();
  const bool minute = now >= minute_at_;
  const bool live = watching() && now >= live_at_;
  const bool begins = asked && !asked->empty();
  if (minute || live || begins) {
    Counters counters = Measure();
    if (minute) KeepMinute(counters);
    if (begins) Adopt(*asked, counters);
    if (live) SendLive(std::move(counters));
  }
  if (asked && asked->empty()) Adopt(*asked, {});
  return watching() ? std::min(minute_at_, live_at_) : minute_at_;
}

UsageReporter::Counters UsageReporter::Measure() const {
  std::map<std::string, InstanceUsage> usage;
  const std::vector<ServerStatus> servers = deps_.servers();
  const bool any =
      std::any_of(servers.begin(), servers.end(), [](const ServerStatus& each) { return !each.instances.empty(); });
  for (const auto& [kind, runtime] : deps_.runtimes) {
    if (!any) break;
    StatusOr<std::vector<InstanceUsage>> measured = runtime->Usage(Deadline::After(kUsageTimeout));
    if (!measured.ok()) continue;  // an engine that is away has no figures
    for (InstanceUsage& one : *measured) usage[one.id] = one;
  }
  Counters counters;
  for (const ServerStatus& server : servers) {
    UsageCounters& found = counters[server.key];
    found.at = deps_.clock.Now();
    found.traffic = deps_.traffic.TrafficOf(server.key);
    for (const InstanceSummary& instance : server.instances) {
      const auto it = usage.find(instance.id);
      if (it == usage.end()) continue;
      found.cpu_seconds = found.cpu_seconds.value_or(0) + it->second.cpu_seconds;
      found.memory_bytes = found.memory_bytes.value_or(0) + it->second.memory_bytes;
    }
  }
  return counters;
}

void UsageReporter::KeepMinute(Counters now) {
  const MonoTime at = deps_.clock.Now();
  std::erase_if(rings_, [&now](const auto& each) { return !now.contains(each.first); });
  for (const auto& [server, counters] : now) {
    if (!last_minute_) break;  // nothing to compare with yet
    const auto before = minute_before_.find(server);
    // One that is new here began with nothing.
    const UsageCounters& since = before == minute_before_.end() ? UsageCounters{.at = *last_minute_} : before->second;
    rings_[server].Add(SampleBetween(since, counters, deps_.clock.Wall()));
  }
  minute_before_ = std::move(now);
  last_minute_ = at;
  minute_at_ = at + kMinute;
}

void UsageReporter::Adopt(const std::vector<MeasuredServer>& measured, const Counters& now) {
  const bool watched_before = watching();
  all_ = false;
  watched_.clear();
  std::vector<std::string> entries;
  for (const MeasuredServer& each : measured) {
    const ServerKey server{each.namespace_, each.server};
    if (each.server.empty()) {
      all_ = true;
    } else {
      watched_.insert(server);
    }
    if (!each.history) continue;
    if (each.server.empty()) {
      for (const auto& [key, counters] : now) {
        std::vector<UsageSample> samples = rings_[key].List();
        if (samples.size() > 1) samples.erase(samples.begin(), samples.end() - 1);
        entries.push_back(Entry(key, samples, nullptr));
      }
    } else if (now.contains(server)) {
      const std::vector<Event> events = EventsAfter(server, WallTime::min());
      if (!events.empty()) events_told_[server] = events.back().time;
      entries.push_back(Entry(server, rings_[server].List(), &events));
    }
  }
  std::erase_if(events_told_, [this](const auto& each) { return !watched_.contains(each.first); });
  if (!watching()) {
    live_before_.clear();
    return;
  }
  if (!watched_before) {
    unsent_ = 0;
    live_before_ = now;
    live_at_ = deps_.clock.Now() + kLive;
  }
  Send(std::move(entries));
}

void UsageReporter::SendLive(Counters now) {
  std::vector<std::string> entries;
  for (const auto& [server, counters] : now) {
    const bool looked_at = watched_.contains(server);
    if (!looked_at && !all_) continue;
    const auto before = live_before_.find(server);
    if (before == live_before_.end()) continue;  // from the next time on
    const std::vector<UsageSample> samples{SampleBetween(before->second, counters, deps_.clock.Wall())};
    std::vector<Event> events;
    if (looked_at) {
      WallTime& told = events_told_.try_emplace(server, WallTime::min()).first->second;
      events = EventsAfter(server, told);
      if (!events.empty()) told = events.back().time;
    }
    entries.push_back(Entry(server, samples, events.empty() ? nullptr : &events));
  }
  live_before_ = std::move(now);
  live_at_ = deps_.clock.Now() + kLive;
  Send(std::move(entries));
}

std::string UsageReporter::Entry(const ServerKey& server, const std::vector<UsageSample>& samples,
                                 const std::vector<Event>* events) {
  Json entry{{"namespace", server.namespace_}, {"server", server.name}, {"samples", Json::array()}};
  for (const UsageSample& sample : samples) entry["samples"].push_back(ToJson(sample));
  if (events != nullptr) {
    entry["events"] = Json::array();
    for (const Event& event : *events) entry["events"].push_back(ToJson(event));
  }
  return DumpJson(entry);
}

std::vector<Event> UsageReporter::EventsAfter(const ServerKey& server, WallTime since) const {
  std::vector<Event> events = deps_.events.List(server);
  std::erase_if(events, [since](const Event& event) { return event.time <= since; });
  if (events.size() > kEvents) events.erase(events.begin(), events.end() - kEvents);
  return events;
}

void UsageReporter::Send(std::vector<std::string> entries) {
  if (entries.empty()) return;
  if (deps_.send && deps_.send(std::move(entries))) {
    unsent_ = 0;
  } else if (++unsent_ >= kUnsent) {
    all_ = false;
    watched_.clear();
    live_before_.clear();
    events_told_.clear();
  }
}

}  // namespace mcpfleet
