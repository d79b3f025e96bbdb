#include "edge-runtime/telemetry/prometheus_metrics.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;
const ServerKey kWeather{"default", "weather"};

ServerStatus Status(ServerKey key, ConditionStatus ready, std::string version = "1.0") {
  ServerStatus status{.key = std::move(key)};
  status.server_info = {.name = "weather", .version = std::move(version), .protocol_version = "2025-11-25"};
  status.conditions.push_back({.type = "Ready", .status = ready, .reason = "Because"});
  return status;
}

// The value of the one series whose name is `name` and whose labels are exactly `labels`; "none" when there is none.
std::string ValueOf(const PrometheusMetrics& metrics, const std::string& name,
                    const std::set<std::string>& labels = {}) {
  for (const std::string& line : Split(metrics.Serialize(), '\n')) {
    size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    std::string series = line.substr(0, space), own;
    std::set<std::string> got;
    if (size_t brace = series.find('{'); brace != std::string::npos) {
      own = series.substr(0, brace);
      for (const std::string& label : Split(series.substr(brace + 1, series.size() - brace - 2), ',')) {
        if (!label.empty()) got.insert(label);
      }
    } else {
      own = series;
    }
    if (own == name && got == labels) return line.substr(space + 1);
  }
  return "none";
}

TEST(PrometheusMetricsTest, WhatHasNotHappenedYetIsZeroNotAbsent) {
  PrometheusMetrics metrics({.version = "0.1.0", .store_operations = {"bulk_get"}});
  for (std::string_view result : {"success", "error"}) {
    std::string label = "result=\"" + std::string(result) + "\"";
    EXPECT_EQ(ValueOf(metrics, "controller_runtime_reconcile_total", {"controller=\"mcpserver\"", label}), "0");
    EXPECT_EQ(ValueOf(metrics, "mcpfleet_probe_total", {"probe=\"liveness\"", label}), "0");
    for (std::string_view operation : kRuntimeOperations) {
      EXPECT_EQ(ValueOf(metrics, "mcpfleet_runtime_operations_total",
                        {"operation=\"" + std::string(operation) + "\"", label}),
                "0");
    }
  }
  for (const char* code : {"200", "error"}) {
    EXPECT_EQ(
        ValueOf(metrics, "mcpfleet_store_requests_total", {"op=\"bulk_get\"", "code=\"" + std::string(code) + "\""}),
        "0");
  }
  for (const char* name : {"workqueue_depth", "workqueue_adds_total", "workqueue_retries_total",
                           "workqueue_queue_duration_seconds_count"}) {
    EXPECT_EQ(ValueOf(metrics, name, {"name=\"mcpserver\""}), "0") << name;
  }
  for (const char* name :
       {"mcpfleet_stale_heads_total", "mcpfleet_conflicting_heads_total", "mcpfleet_foreign_heads_total",
        "mcpfleet_untrusted_heads_total", "mcpfleet_store_bad_answers_total", "mcpfleet_drift_corrected_total",
        "mcpfleet_orphans_reaped_total", "mcpfleet_store_last_success_timestamp_seconds",
        "mcpfleet_convergence_seconds_count"}) {
    EXPECT_EQ(ValueOf(metrics, name), "0") << name;
  }
  EXPECT_EQ(ValueOf(metrics, "controller_runtime_reconcile_time_seconds_count", {"controller=\"mcpserver\""}), "0");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_build_info", {"version=\"0.1.0\"", "commit=\"\""}), "1");
}

TEST(PrometheusMetricsTest, EveryReportReachesItsSeries) {
  PrometheusMetrics metrics({});
  metrics.ReconcileDone(kWeather, true, 3ms);
  metrics.ReconcileDone(kWeather, false, 3ms);
  metrics.QueueDepth(7);
  metrics.QueueAdded();
  metrics.QueueRetried();
  metrics.QueueLatency(1ms);
  metrics.RuntimeOperation("Start", false, 1s);
  metrics.Probe("readiness", true, 20ms);
  metrics.Converged(kWeather, 700ms);
  metrics.DriftCorrected();
  metrics.OrphanReaped();
  metrics.StaleHead();
  metrics.StoreRequest("get", "503");
  metrics.StoreSucceeded(WallTime(1790000000s));
  metrics.SetTunnel(true, 3, 2);
  metrics.SetTunnel(true, 3, 2);
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_tunnel_up"), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_tunnel_hostnames"), "3");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_tunnel_restarts_total"), "2");
  EXPECT_EQ(ValueOf(metrics, "controller_runtime_reconcile_total", {"controller=\"mcpserver\"", "result=\"error\""}),
            "1");
  EXPECT_EQ(ValueOf(metrics, "controller_runtime_reconcile_time_seconds_count", {"controller=\"mcpserver\""}), "2");
  EXPECT_EQ(ValueOf(metrics, "workqueue_depth", {"name=\"mcpserver\""}), "7");
  EXPECT_EQ(ValueOf(metrics, "workqueue_adds_total", {"name=\"mcpserver\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "workqueue_retries_total", {"name=\"mcpserver\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "workqueue_queue_duration_seconds_count", {"name=\"mcpserver\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_runtime_operations_total", {"operation=\"Start\"", "result=\"error\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_runtime_operation_duration_seconds_sum", {"operation=\"Start\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_probe_total", {"probe=\"readiness\"", "result=\"success\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_convergence_seconds_bucket", {"le=\"1\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_convergence_seconds_bucket", {"le=\"0.5\""}), "0");
  for (const char* name :
       {"mcpfleet_drift_corrected_total", "mcpfleet_orphans_reaped_total", "mcpfleet_stale_heads_total"}) {
    EXPECT_EQ(ValueOf(metrics, name), "1") << name;
  }
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_store_requests_total", {"op=\"get\"", "code=\"503\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_store_last_success_timestamp_seconds"), "1790000000");
}

TEST(PrometheusMetricsTest, ExactlyOneStatusOfAConditionIsOne) {
  PrometheusMetrics metrics({});
  const auto ready = [&](const char* status) {
    return ValueOf(metrics, "mcpfleet_server_condition",
                   {"namespace=\"default\"", "server=\"weather\"", "condition=\"Ready\"",
                    std::string("status=\"") + status + "\""});
  };
  metrics.SetServer(Status(kWeather, ConditionStatus::kFalse));
  EXPECT_EQ(ready("true") + ready("false") + ready("unknown"), "010");
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue));
  EXPECT_EQ(ready("true") + ready("false") + ready("unknown"), "100");
}

TEST(PrometheusMetricsTest, ANewVersionReplacesTheOldInfo) {
  PrometheusMetrics metrics({});
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue, "1.0"));
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue, "2.0"));
  std::string text = metrics.Serialize();
  EXPECT_EQ(text.find("version=\"1.0\""), std::string::npos);
  EXPECT_NE(text.find("version=\"2.0\""), std::string::npos);
}

TEST(PrometheusMetricsTest, ARemovedServerLeavesNoSeriesAndLateReportsMakeNone) {
  PrometheusMetrics metrics({});
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue));
  metrics.SetServer(Status({"default", "files"}, ConditionStatus::kTrue));
  metrics.SetServerUsage(kWeather, 1000, 2);
  metrics.Restarted(kWeather, "OOMKilled");
  EXPECT_NE(metrics.Serialize().find("server=\"weather\""), std::string::npos);
  metrics.RemoveServer(kWeather);
  metrics.Restarted(kWeather, "OOMKilled");
  metrics.SetServerUsage(kWeather, 1000, 2);
  metrics.RemoveServer(kWeather);
  std::string text = metrics.Serialize();
  EXPECT_EQ(text.find("server=\"weather\""), std::string::npos) << text;
  EXPECT_NE(text.find("server=\"files\""), std::string::npos);
}

TEST(PrometheusMetricsTest, RestartsAreCountedByReasonAndCpuSurvivesANewInstance) {
  PrometheusMetrics metrics({});
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue));
  const std::set<std::string> weather{"namespace=\"default\"", "server=\"weather\""};
  const auto restarts = [&](const std::string& reason) {
    std::set<std::string> labels = weather;
    labels.insert("reason=\"" + reason + "\"");
    return ValueOf(metrics, "mcpfleet_server_restarts_total", labels);
  };
  for (std::string_view reason : kRestartReasons) EXPECT_EQ(restarts(std::string(reason)), "0") << reason;
  metrics.Restarted(kWeather, "OOMKilled");
  metrics.Restarted(kWeather, "Unheard");
  EXPECT_EQ(restarts("OOMKilled"), "1");
  EXPECT_EQ(restarts("Unheard"), "1");
  metrics.SetServerUsage(kWeather, 4096, 10);
  metrics.SetServerUsage(kWeather, 2048, 12);
  metrics.SetServerUsage(kWeather, 1024, 1);  // a new instance
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_server_memory_bytes", weather), "1024");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_server_cpu_seconds_total", weather), "13");
}

TEST(PrometheusMetricsTest, AServerCannotBreakTheTextFormat) {
  PrometheusMetrics metrics({});
  ServerStatus status = Status(kWeather, ConditionStatus::kTrue, "1\"\n} evil 1\n");
  status.server_info.name = "\xff\xfe";
  status.server_info.protocol_version = std::string(10000, 'x');
  metrics.SetServer(status);
  for (const std::string& line : Split(metrics.Serialize(), '\n')) {
    EXPECT_LT(line.size(), 400U);
    EXPECT_NE(line.substr(0, 2), "} ");
  }
  EXPECT_NE(metrics.Serialize().find("name=\"invalid\""), std::string::npos);
}

TEST(PrometheusMetricsTest, WhatTheGatewayCountsIsThereFromTheStartAndGoesWithItsServer) {
  PrometheusMetrics metrics({});
  const auto refused = [&](std::string_view reason) {
    return ValueOf(metrics, "mcpfleet_gateway_rejected_total", {"reason=\"" + std::string(reason) + "\""});
  };
  for (std::string_view reason : kGatewayRejections) EXPECT_EQ(refused(reason), "0");
  GatewaySeries& gateway = metrics.gateway();
  gateway.GatewayRejected("origin");
  EXPECT_EQ(refused("origin"), "1");
  const std::set<std::string> weather = {"namespace=\"default\"", "server=\"weather\""};
  gateway.GatewaySessions(kWeather, 3);
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_sessions", weather), "3");
  std::set<std::string> calls = weather;
  calls.insert({"code=\"200\"", "method=\"tools/call\""});
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_requests_total", calls), "0");
  gateway.GatewayRequest(kWeather, "tools/call", 200, std::chrono::milliseconds(3));
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_requests_total", calls), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_tool_errors_total", weather), "0");
  gateway.GatewayToolFailed(kWeather);
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_tool_errors_total", weather), "1");
  gateway.GatewaySessionEnded(kWeather, std::chrono::seconds(30));
  EXPECT_EQ(ValueOf(metrics, "mcp_server_session_duration_seconds_count", weather), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_certificate_reads_total", {"result=\"ok\""}), "none") << "without TLS";
  gateway.GatewayCertificate(WallTime(std::chrono::seconds(1234)));
  gateway.GatewayCertificate(InvalidArgument("keyFile: /k: is not the key"));
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_certificate_expiration_timestamp_seconds", {}), "1234");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_certificate_reads_total", {"result=\"ok\""}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_gateway_certificate_reads_total", {"result=\"error\""}), "1");
  gateway.GatewayForget(kWeather);
  EXPECT_EQ(metrics.Serialize().find("server=\"weather\""), std::string::npos);
}

TEST(PrometheusMetricsTest, TheTrafficOfAServerIsItsToolCallsAndWhatOfThemFailed) {
  GatewaySeries gateway;
  EXPECT_EQ(gateway.TrafficOf(kWeather).calls, 0);
  gateway.GatewaySessions(kWeather, 2);
  gateway.GatewayRequest(kWeather, "tools/call", 200, std::chrono::milliseconds(3));
  gateway.GatewayRequest(kWeather, "tools/call", 200, std::chrono::minutes(6));
  gateway.GatewayToolFailed(kWeather);
  gateway.GatewayRequest(kWeather, "tools/call", 503, std::chrono::milliseconds(5));
  gateway.GatewayRequest(kWeather, "tools/call", 400, std::chrono::milliseconds(1));  // the client's mistake
  gateway.GatewayRequest(kWeather, "tools/list", 500, std::chrono::milliseconds(1));
  const ServerTraffic traffic = gateway.TrafficOf(kWeather);
  EXPECT_EQ(traffic.sessions, 2);
  EXPECT_EQ(traffic.calls, 4);
  EXPECT_EQ(traffic.failed, 2);
  EXPECT_EQ(traffic.times, (CallTimes{1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
  gateway.GatewayForget(kWeather);
  EXPECT_EQ(gateway.TrafficOf(kWeather).calls, 0);
}

// Names of metrics in a text, without the suffixes of a histogram's series.
std::set<std::string> NamesIn(const std::string& text) {
  static const std::regex name("\\b(mcpfleet_|mcp_server_|workqueue_|controller_runtime_)[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) {
    names.insert(std::regex_replace(it->str(), std::regex("_(bucket|count|sum)$"), ""));
  }
  return names;
}

TEST(PrometheusMetricsTest, WhatLogShippingCountsIsThereFromTheStart) {
  PrometheusMetrics metrics({});
  for (std::string_view reason : kLogLossReasons) {
    EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_dropped_lines_total", {"reason=\"" + std::string(reason) + "\""}), "0");
  }
  for (const char* name : {"mcpfleet_log_chunks_shipped_total", "mcpfleet_log_lines_shipped_total",
                           "mcpfleet_log_bytes_shipped_total", "mcpfleet_log_upload_failures_total",
                           "mcpfleet_log_spool_bytes", "mcpfleet_log_spool_chunks", "mcpfleet_log_lag_seconds"})
    EXPECT_EQ(ValueOf(metrics, name, {}), "0") << name;
  LogSeries& logs = metrics.logs();
  logs.LogChunkShipped(100, 2000);
  logs.LogLinesLost("rotated", 7);
  logs.LogUploadFailed();
  logs.LogSpool(3, 4000, std::chrono::milliseconds(1500));
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_chunks_shipped_total", {}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_lines_shipped_total", {}), "100");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_bytes_shipped_total", {}), "2000");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_dropped_lines_total", {"reason=\"rotated\""}), "7");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_upload_failures_total", {}), "1");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_spool_chunks", {}), "3");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_spool_bytes", {}), "4000");
  EXPECT_EQ(ValueOf(metrics, "mcpfleet_log_lag_seconds", {}), "1.5");
}

TEST(PrometheusMetricsTest, RulesAndDashboardUseOurNamesAndTheDashboardShowsThemAll) {
  PrometheusMetrics metrics({.store_operations = {"get"}});
  metrics.SetServer(Status(kWeather, ConditionStatus::kTrue));
  metrics.SetServerUsage(kWeather, 1, 1);
  metrics.gateway().GatewaySessions(kWeather, 0);
  std::set<std::string> ours = NamesIn(metrics.Serialize());
  const std::string folder = std::string(MCPFLEET_SOURCE_DIR) + "/manifests/monitoring/";
  std::set<std::string> shown = NamesIn(*ReadFile(folder + "dashboard.json", 1 << 20));
  std::set<std::string> ruled = NamesIn(*ReadFile(folder + "rules.yaml", 1 << 20));
  EXPECT_EQ(shown, ours);
  for (const std::string& name : ruled) EXPECT_TRUE(ours.contains(name)) << name;
  EXPECT_GT(ruled.size(), 5U);
}

}  // namespace
}  // namespace mcpfleet
