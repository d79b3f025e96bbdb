#include "edge-runtime/telemetry/sync_series.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

bool Has(const SyncSeries& series, const std::string& line) {
  return ("\n" + series.Serialize()).find("\n" + line + "\n") != std::string::npos;
}

TEST(SyncSeriesTest, EveryResultBeginsAtZero) {
  SyncSeries series({"applied", "refused"});
  EXPECT_TRUE(Has(series, "mcpfleet_sync_runs_total{result=\"applied\"} 0")) << series.Serialize();
  EXPECT_TRUE(Has(series, "mcpfleet_sync_runs_total{result=\"refused\"} 0"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_ready 0"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_last_success_timestamp_seconds 0"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_objects 0"));
}

TEST(SyncSeriesTest, ARunIsCountedAndOnlyAGoodOneIsASuccess) {
  FakeClock clock;
  SyncSeries series({"applied", "refused"});
  series.Ran("refused", false, std::chrono::seconds(2), clock.Wall());
  EXPECT_TRUE(Has(series, "mcpfleet_sync_ready 0"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_last_success_timestamp_seconds 0"));
  series.Ran("applied", true, std::chrono::seconds(2), clock.Wall());
  series.Objects(7);
  EXPECT_TRUE(Has(series, "mcpfleet_sync_runs_total{result=\"applied\"} 1"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_ready 1"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_objects 7"));
  EXPECT_TRUE(Has(series, "mcpfleet_sync_duration_seconds_count 2"));
  EXPECT_FALSE(Has(series, "mcpfleet_sync_last_success_timestamp_seconds 0"));
}

}  // namespace
}  // namespace mcpfleet
