#include "edge-runtime/telemetry/gateway_series.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <string>
#include <tuple>

#include "base/mutex.h"

namespace mcpfleet {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using Buckets = Histogram::BucketBoundaries;

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

constexpr std::string_view kToolCall = "tools/call";

const Buckets& Operations() {
  static const Buckets buckets(kOperationSeconds.begin(), kOperationSeconds.end());
  return buckets;
}
const Buckets& Lives() {
  static const Buckets buckets{1, 10, 60, 300, 1800, 3600, 14400, 43200, 86400};
  return buckets;
}

Labels LabelsOf(const ServerKey& server) { return {{"namespace", server.namespace_}, {"server", server.name}}; }

Labels With(Labels labels, const char* name, std::string value) {
  labels[name] = std::move(value);
  return labels;
}

}  // namespace

struct GatewaySeries::Families {
  // By name of the method's word, which is a constant, and the status.
  struct Server {
    std::map<std::pair<std::string, int>, Counter*> requests;
    std::map<std::string, Histogram*> durations;
    Counter* failed_tools = nullptr;
    Gauge* sessions = nullptr;
    Histogram* lives = nullptr;
    ServerTraffic traffic;
  };
  Server& Of(const ServerKey& key) EXCLUSIVE_LOCKS_REQUIRED(mu) {
    auto [it, fresh] = servers.try_emplace(key);
    Server& server = it->second;
    if (!fresh) return server;
    server.sessions = &sessions.Add(LabelsOf(key));
    server.lives = &lives.Add(LabelsOf(key), Lives());
    server.failed_tools = &failed_tools.Add(LabelsOf(key));
    const std::string call(kToolCall);
    server.requests[{call, 200}] = &requests.Add(With(With(LabelsOf(key), "method", call), "code", "200"));
    server.durations[call] = &durations.Add(With(LabelsOf(key), "method", call), Operations());
    return server;
  }

  Mutex mu;
  std::map<ServerKey, Server> servers GUARDED_BY(mu);
  Family<Counter> requests{"mcpfleet_gateway_requests_total", "Requests of clients by method and HTTP status", {}};
  Family<Histogram> durations{
      "mcp_server_operation_duration_seconds", "From a client's request to the end of its answer", {}};
  Family<Counter> failed_tools{
      "mcpfleet_gateway_tool_errors_total", "Tool calls that a server answered with an error or isError", {}};
  Family<Counter> rejected{"mcpfleet_gateway_rejected_total", "Requests refused before they reached a server", {}};
  Family<Gauge> sessions{"mcpfleet_sessions", "Open sessions of clients", {}};
  // No series without TLS.
  Family<Gauge> certificate{
      "mcpfleet_gateway_certificate_expiration_timestamp_seconds", "When the gateway's TLS certificate expires", {}};
  Family<Counter> certificate_reads{
      "mcpfleet_gateway_certificate_reads_total", "Reads of the gateway's TLS certificate and key by result", {}};
  Family<Histogram> lives{"mcp_server_session_duration_seconds", "How long sessions of clients were open", {}};
};

GatewaySeries::GatewaySeries() : families_(std::make_unique<Families>()) {
  for (std::string_view reason : kGatewayRejections) families_->rejected.Add({{"reason", std::string(reason)}});
}

GatewaySeries::~GatewaySeries() = default;

void GatewaySeries::GatewayRequest(const ServerKey& key, std::string_view method, int code, Duration took) {
  Families& f = *families_;
  const std::string word(method);
  MutexLock lock(&f.mu);
  Families::Server& server = f.Of(key);
  Counter*& counter = server.requests[{word, code}];
  if (counter == nullptr)
    counter = &f.requests.Add(With(With(LabelsOf(key), "method", word), "code", std::to_string(code)));
  counter->Increment();
  Histogram*& duration = server.durations[word];
  if (duration == nullptr) duration = &f.durations.Add(With(LabelsOf(key), "method", word), Operations());
  duration->Observe(Seconds(took));
  if (method != kToolCall) return;
  ++server.traffic.calls;
  // What came to no server. Mistakes of a client are not the server's, and its own errors are told by
  // GatewayToolFailed.
  if (code >= 500 || code == 429) ++server.traffic.failed;
  ++server.traffic.times[BucketOf(Seconds(took))];
}

void GatewaySeries::GatewayToolFailed(const ServerKey& key) {
  MutexLock lock(&families_->mu);
  Families::Server& server = families_->Of(key);
  server.failed_tools->Increment();
  ++server.traffic.failed;
}

ServerTraffic GatewaySeries::TrafficOf(const ServerKey& key) const {
  MutexLock lock(&families_->mu);
  const auto found = families_->servers.find(key);
  return found == families_->servers.end() ? ServerTraffic{} : found->second.traffic;
}

void GatewaySeries::GatewayRejected(std::string_view reason) {
  families_->rejected.Add({{"reason", std::string(reason)}}).Increment();
}

void GatewaySeries::GatewaySessions(const ServerKey& server, int open) {
  MutexLock lock(&families_->mu);
  Families::Server& found = families_->Of(server);
  found.sessions->Set(open);
  found.traffic.sessions = open;
}

void GatewaySeries::GatewaySessionEnded(const ServerKey& server, Duration lived) {
  MutexLock lock(&families_->mu);
  families_->Of(server).lives->Observe(Seconds(lived));
}

void GatewaySeries::GatewayCertificate(const StatusOr<WallTime>& expires) {
  Families& f = *families_;
  Counter& ok = f.certificate_reads.Add({{"result", "ok"}});
  Counter& error = f.certificate_reads.Add({{"result", "error"}});
  (expires.ok() ? ok : error).Increment();
  if (expires.ok()) f.certificate.Add({}).Set(Seconds(expires->time_since_epoch()));
}

void GatewaySeries::GatewayForget(const ServerKey& key) {
  Families& f = *families_;
  MutexLock lock(&f.mu);
  auto found = f.servers.find(key);
  if (found == f.servers.end()) return;
  for (const auto& [name, counter] : found->second.requests) f.requests.Remove(counter);
  for (const auto& [name, histogram] : found->second.durations) f.durations.Remove(histogram);
  f.failed_tools.Remove(found->second.failed_tools);
  f.sessions.Remove(found->second.sessions);
  f.lives.Remove(found->second.lives);
  f.servers.erase(found);
}

void GatewaySeries::Collect(std::vector<prometheus::MetricFamily>* out) const {
  const Families& f = *families_;
  const prometheus::Collectable* all[] = {&f.requests, &f.durations, &f.failed_tools, &f.rejected,
                                          &f.sessions, &f.lives,     &f.certificate,  &f.certificate_reads};
  for (const prometheus::Collectable* family : all) {
    for (prometheus::MetricFamily& one : family->Collect()) out->push_back(std::move(one));
  }
}

}  // namespace mcpfleet
