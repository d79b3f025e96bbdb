#include "edge-runtime/telemetry/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <vector>

#include "base/mutex.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using Buckets = Histogram::BucketBoundaries;

constexpr size_t kLabelBytes = 64;  // of what a server says about itself
constexpr const char* kController = "mcpserver";

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

const Buckets& Fast() {  // decisions and queues
  static const Buckets buckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  return buckets;
}
const Buckets& Slow() {  // engines, probes, convergence
  static const Buckets buckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
  return buckets;
}

std::string LabelValue(const std::string& text) { return IsUtf8(text) ? Printable(text, kLabelBytes) : "invalid"; }

const char* Word(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return "true";
    case ConditionStatus::kFalse:
      return "false";
    case ConditionStatus::kUnknown:
      return "unknown";
  }
  return "unknown";
}

// The series of one server, to be removed with it.
struct ServerSeries {
  Gauge* info = nullptr;
  Labels info_labels;
  std::map<std::pair<std::string, std::string>, Gauge*> conditions;  // by type and status
  std::map<std::string, Counter*> restarts;                          // by reason
  Gauge* memory = nullptr;
  Counter* cpu = nullptr;
  double last_cpu = 0;
};

}  // namespace

struct PrometheusMetrics::Families {
  template <typename T>
  Family<T>& Make(const char* name, const char* help) {
    auto family = std::make_unique<Family<T>>(name, help, Labels{});
    Family<T>& made = *family;
    all.push_back(std::move(family));
    return made;
  }
  void Observe(Family<Histogram>& family, const Labels& labels, const Buckets& buckets, Duration took) {
    family.Add(labels, buckets).Observe(Seconds(took));
  }

  Mutex mu;  // a series must not be removed while somebody counts in it
  std::map<ServerKey, ServerSeries> servers GUARDED_BY(mu);
  std::vector<std::unique_ptr<prometheus::Collectable>>
      all;  // constant after construction, each with a lock of its own

  Family<Counter>& reconciles = Make<Counter>("controller_runtime_reconcile_total", "Reconciliations by result");
  Family<Histogram>& reconcile_time =
      Make<Histogram>("controller_runtime_reconcile_time_seconds", "Time of one reconciliation");
  Family<Gauge>& depth = Make<Gauge>("workqueue_depth", "Keys that wait");
  Family<Counter>& adds = Make<Counter>("workqueue_adds_total", "Keys added");
  Family<Counter>& retries = Make<Counter>("workqueue_retries_total", "Keys added again after an error");
  Family<Histogram>& queue_time = Make<Histogram>("workqueue_queue_duration_seconds", "Time a key waits");
  Family<Histogram>& convergence =
      Make<Histogram>("mcpfleet_convergence_seconds", "From the accepted head to the server being ready");
  Family<Gauge>& info = Make<Gauge>("mcpfleet_server_info", "What a server says it is; always 1");
  Family<Gauge>& condition =
      Make<Gauge>("mcpfleet_server_condition", "1 for the present status of each condition of a server");
  Family<Counter>& restarts = Make<Counter>("mcpfleet_server_restarts_total", "Restarts of a server by reason");
  Family<Gauge>& memory = Make<Gauge>("mcpfleet_server_memory_bytes", "Memory of a server's instances");
  Family<Counter>& cpu = Make<Counter>("mcpfleet_server_cpu_seconds_total", "CPU time of a server's instances");
  Family<Counter>& probes = Make<Counter>("mcpfleet_probe_total", "Probes by result");
  Family<Histogram>& probe_time = Make<Histogram>("mcpfleet_probe_duration_seconds", "Time of one probe");
  Family<Counter>& operations =
      Make<Counter>("mcpfleet_runtime_operations_total", "Calls to container runtimes by result");
  Family<Histogram>& operation_time =
      Make<Histogram>("mcpfleet_runtime_operation_duration_seconds", "Time of one call to a container runtime");
  Family<Counter>& store_requests = Make<Counter>("mcpfleet_store_requests_total", "Requests to the store by answer");
  Gauge& store_success =
      Make<Gauge>("mcpfleet_store_last_success_timestamp_seconds", "When the store last answered; 0: never").Add({});
  Counter& stale_heads =
      Make<Counter>("mcpfleet_stale_heads_total", "Heads older than the accepted one, refused").Add({});
  Counter& conflicting_heads =
      Make<Counter>("mcpfleet_conflicting_heads_total", "Heads of the same order that name different snapshots")
          .Add({});
  Counter& untrusted_heads =
      Make<Counter>("mcpfleet_untrusted_heads_total", "Heads without the signatures that this fleet needs, refused")
          .Add({});
  Counter& foreign_heads = Make<Counter>("mcpfleet_foreign_heads_total", "Heads of another fleet, refused").Add({});
  Counter& bad_answers = Make<Counter>("mcpfleet_store_bad_answers_total",
                                       "Values from the store that are malformed or not what their hash says")
                             .Add({});
  Counter& drift = Make<Counter>("mcpfleet_drift_corrected_total",
                                 "Differences from the desired state that nobody here caused, corrected")
                       .Add({});
  Counter& orphans = Make<Counter>("mcpfleet_orphans_reaped_total", "Instances without a server, removed").Add({});
  Gauge& tunnel_up = Make<Gauge>("mcpfleet_tunnel_up", "1 while the tunnel is connected and serves hostnames").Add({});
  Gauge& tunnel_hostnames = Make<Gauge>("mcpfleet_tunnel_hostnames", "Hostnames that the tunnel is to serve").Add({});
  Counter& tunnel_restarts =
      Make<Counter>("mcpfleet_tunnel_restarts_total", "Ends of cloudflared that nobody had asked for").Add({});
  Family<Gauge>& build = Make<Gauge>("mcpfleet_build_info", "Version of mcplet; always 1");
};

PrometheusMetrics::PrometheusMetrics(const Build& build) : families_(std::make_unique<Families>()) {
  Families& f = *families_;
  for (const char* result : {"success", "error"}) {
    f.reconciles.Add({{"controller", kController}, {"result", result}});
    for (std::string_view probe : kProbeNames) f.probes.Add({{"probe", std::string(probe)}, {"result", result}});
    for (std::string_view operation : kRuntimeOperations) {
      f.operations.Add({{"operation", std::string(operation)}, {"result", result}});
    }
  }
  f.reconcile_time.Add({{"controller", kController}}, Fast());
  f.depth.Add({{"name", kController}});
  f.adds.Add({{"name", kController}});
  f.retries.Add({{"name", kController}});
  f.queue_time.Add({{"name", kController}}, Fast());
  f.convergence.Add({}, Slow());
  for (std::string_view probe : kProbeNames) f.probe_time.Add({{"probe", std::string(probe)}}, Slow());
  for (std::string_view operation : kRuntimeOperations) {
    f.operation_time.Add({{"operation", std::string(operation)}}, Slow());
  }
  for (const std::string& op : build.store_operations) {
    for (const char* code : {"200", "error"}) f.store_requests.Add({{"op", op}, {"code", code}});
  }
  f.build.Add({{"version", build.version}, {"commit", build.commit}}).Set(1);
}

PrometheusMetrics::~PrometheusMetrics() = default;

std::string PrometheusMetrics::Serialize() const {
  std::vector<prometheus::MetricFamily> collected;
  for (const auto& family : families_->all) {
    for (prometheus::MetricFamily& one : family->Collect()) collected.push_back(std::move(one));
  }
  gateway_.Collect(&collected);
  logs_.Collect(&collected);
  return prometheus::TextSerializer().Serialize(collected);
}

void PrometheusMetrics::ReconcileDone(const ServerKey&, bool ok, Duration took) {
  families_->reconciles.Add({{"controller", kController}, {"result", ok ? "success" : "error"}}).Increment();
  families_->Observe(families_->reconcile_time, {{"controller", kController}}, Fast(), took);
}
void PrometheusMetrics::QueueDepth(size_t depth) {
  families_->depth.Add({{"name", kController}}).Set(static_cast<double>(depth));
}
void PrometheusMetrics::QueueAdded() { families_->adds.Add({{"name", kController}}).Increment(); }
void PrometheusMetrics::QueueRetried() { families_->retries.Add({{"name", kController}}).Increment(); }
void PrometheusMetrics::QueueLatency(Duration waited) {
  families_->Observe(families_->queue_time, {{"name", kController}}, Fast(), waited);
}
void PrometheusMetrics::RuntimeOperation(std::string_view operation, bool ok, Duration took) {
  std::string name(operation);
  families_->operations.Add({{"operation", name}, {"result", ok ? "success" : "error"}}).Increment();
  families_->Observe(families_->operation_time, {{"operation", name}}, Slow(), took);
}
void PrometheusMetrics::Probe(std::string_view probe, bool ok, Duration took) {
  std::string name(probe);
  families_->probes.Add({{"probe", name}, {"result", ok ? "success" : "error"}}).Increment();
  families_->Observe(families_->probe_time, {{"probe", name}}, Slow(), took);
}
void PrometheusMetrics::Converged(const ServerKey&, Duration since_head) {
  families_->Observe(families_->convergence, {}, Slow(), since_head);
}
void PrometheusMetrics::DriftCorrected() { families_->drift.Increment(); }
void PrometheusMetrics::OrphanReaped() { families_->orphans.Increment(); }
void PrometheusMetrics::StaleHead() { families_->stale_heads.Increment(); }
void PrometheusMetrics::ConflictingHead() { families_->conflicting_heads.Increment(); }
void PrometheusMetrics::UntrustedHead() { families_->untrusted_heads.Increment(); }
void PrometheusMetrics::ForeignHead() { families_->foreign_heads.Increment(); }
void PrometheusMetrics::BadAnswer() { families_->bad_answers.Increment(); }
void PrometheusMetrics::StoreSucceeded(WallTime at) { families_->store_success.Set(Seconds(at.time_since_epoch())); }
void PrometheusMetrics::SetTunnel(bool up, size_t hostnames, int64_t restarts) {
  families_->tunnel_up.Set(up ? 1 : 0);
  families_->tunnel_hostnames.Set(static_cast<double>(hostnames));
  families_->tunnel_restarts.Increment(static_cast<double>(restarts) - families_->tunnel_restarts.Value());
}
void PrometheusMetrics::StoreRequest(std::string_view op, std::string_view code) {
  families_->store_requests.Add({{"op", std::string(op)}, {"code", std::string(code)}}).Increment();
}

void PrometheusMetrics::SetServer(const ServerStatus& status) {
  Families& f = *families_;
  const Labels base{{"namespace", status.key.namespace_}, {"server", status.key.name}};
  const auto with = [&](Labels more) {
    more.insert(base.begin(), base.end());
    return more;
  };
  MutexLock lock(&f.mu);
  ServerSeries& series = f.servers[status.key];
  Labels info = with({{"name", LabelValue(status.server_info.name)},
                      {"version", LabelValue(status.server_info.version)},
                      {"protocol_version", LabelValue(status.server_info.protocol_version)}});
  if (series.info == nullptr || series.info_labels != info) {
    if (series.info != nullptr) f.info.Remove(series.info);
    series.info = &f.info.Add(info);
    series.info->Set(1);
    series.info_labels = std::move(info);
  }
  for (const Condition& condition : status.conditions) {
    for (ConditionStatus each : {ConditionStatus::kTrue, ConditionStatus::kFalse, ConditionStatus::kUnknown}) {
      Gauge*& gauge = series.conditions[{condition.type, Word(each)}];
      if (gauge == nullptr) gauge = &f.condition.Add(with({{"condition", condition.type}, {"status", Word(each)}}));
      gauge->Set(condition.status == each ? 1 : 0);
    }
  }
  if (series.restarts.empty()) {
    for (std::string_view each : kRestartReasons) {
      std::string reason(each);
      series.restarts[reason] = &f.restarts.Add(with({{"reason", reason}}));
    }
  }
}

void PrometheusMetrics::Restarted(const ServerKey& server, std::string_view reason) {
  Families& f = *families_;
  MutexLock lock(&f.mu);
  auto found = f.servers.find(server);
  if (found == f.servers.end()) return;
  Counter*& counter = found->second.restarts[std::string(reason)];
  if (counter == nullptr) {
    counter =
        &f.restarts.Add({{"namespace", server.namespace_}, {"server", server.name}, {"reason", std::string(reason)}});
  }
  counter->Increment();
}

void PrometheusMetrics::SetServerUsage(const ServerKey& server, int64_t memory_bytes, double cpu_seconds) {
  Families& f = *families_;
  const Labels labels{{"namespace", server.namespace_}, {"server", server.name}};
  MutexLock lock(&f.mu);
  auto found = f.servers.find(server);
  if (found == f.servers.end()) return;
  ServerSeries& series = found->second;
  if (series.memory == nullptr) series.memory = &f.memory.Add(labels);
  if (series.cpu == nullptr) series.cpu = &f.cpu.Add(labels);
  series.memory->Set(static_cast<double>(memory_bytes));
  // A new instance starts at zero; what the last one used stays counted.
  double used = cpu_seconds < series.last_cpu ? cpu_seconds : cpu_seconds - series.last_cpu;
  if (used > 0) series.cpu->Increment(used);
  series.last_cpu = cpu_seconds;
}

void PrometheusMetrics::RemoveServer(const ServerKey& server) {
  Families& f = *families_;
  MutexLock lock(&f.mu);
  auto found = f.servers.find(server);
  if (found == f.servers.end()) return;
  ServerSeries& series = found->second;
  if (series.info != nullptr) f.info.Remove(series.info);
  if (series.memory != nullptr) f.memory.Remove(series.memory);
  if (series.cpu != nullptr) f.cpu.Remove(series.cpu);
  for (auto& [key, gauge] : series.conditions) f.condition.Remove(gauge);
  for (auto& [reason, counter] : series.restarts) f.restarts.Remove(counter);
  f.servers.erase(found);
}

}  // namespace mcpfleet
