#include "edge-runtime/mcplet/sync_telemetry.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

class SyncTelemetryTest : public ::testing::Test {
 protected:
  bool Shows(const std::string& line) const {
    return metrics_.Serialize().find("\n" + line + "\n") != std::string::npos;
  }

  FakeClock clock_;
  PrometheusMetrics metrics_{PrometheusMetrics::Build{}};
  EventLog events_{clock_};
  SyncTelemetry telemetry_{metrics_, events_, clock_, "edge-01"};
};

TEST_F(SyncTelemetryTest, EachRefusalIsCountedOnce) {
  SyncStats stats{.stale_heads = 1, .conflicting_heads = 2, .foreign_heads = 3, .bad_answers = 4};
  telemetry_.OnStep(OkStatus(), stats);
  telemetry_.OnStep(OkStatus(), stats);
  stats.bad_answers = 5;
  telemetry_.OnStep(Unavailable("away"), stats);
  for (const char* line : {"mcpfleet_stale_heads_total 1", "mcpfleet_conflicting_heads_total 2",
                           "mcpfleet_foreign_heads_total 3", "mcpfleet_store_bad_answers_total 5"}) {
    EXPECT_TRUE(Shows(line)) << line << "\n" << metrics_.Serialize();
  }
}

TEST_F(SyncTelemetryTest, TwoHeadsOfOneOrderAreAWarningOfTheNode) {
  telemetry_.OnStep(OkStatus(), {});
  EXPECT_TRUE(events_.List().empty());
  telemetry_.OnStep(OkStatus(), {.conflicting_heads = 1});
  ASSERT_EQ(events_.List().size(), 1u);
  EXPECT_EQ(events_.List().front().object, "MCPNode/edge-01");
  EXPECT_EQ(events_.List().front().type, "Warning");
  EXPECT_EQ(events_.List().front().reason, "ConflictingHeads");
}

TEST_F(SyncTelemetryTest, AnUntrustedHeadIsCountedAndToldWithItsReason) {
  SyncStats stats{.untrusted_heads = 1, .distrust = "head: not signed"};
  telemetry_.OnStep(OkStatus(), stats);
  stats.untrusted_heads = 2;
  telemetry_.OnStep(OkStatus(), stats);
  EXPECT_TRUE(Shows("mcpfleet_untrusted_heads_total 2"));
  ASSERT_EQ(events_.List().size(), 1u);
  EXPECT_EQ(events_.List().front().reason, "UntrustedHead");
  EXPECT_EQ(events_.List().front().count, 1);
  EXPECT_NE(events_.List().front().message.find("not signed"), std::string::npos);
}

TEST_F(SyncTelemetryTest, WhatCanNotBeUsedIsCountedWithoutAStepAndToldOnceWithItsReason) {
  telemetry_.OnStep(OkStatus(), {});
  clock_.Advance(std::chrono::minutes(1));
  const std::string before = metrics_.Serialize();
  telemetry_.OnCount({.bad_answers = 1, .bad_answer = "pushed: down: nodes is no list"});
  telemetry_.OnCount({.bad_answers = 3, .bad_answer = "pushed: follow: names no server"});
  EXPECT_TRUE(Shows("mcpfleet_store_bad_answers_total 3"));
  const std::string success = "\nmcpfleet_store_last_success_timestamp_seconds ";
  const auto line = [&success](const std::string& text) {
    const size_t at = text.find(success) + 1;
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(line(metrics_.Serialize()), line(before)) << "it is no sign that the store answers";
  ASSERT_EQ(events_.List().size(), 1u);
  EXPECT_EQ(events_.List().front().reason, "BadAnswer");
  EXPECT_NE(events_.List().front().message.find("nodes is no list"), std::string::npos);
}

TEST_F(SyncTelemetryTest, AForeignHeadIsToldOnceHoweverOftenItIsRead) {
  for (int64_t seen = 1; seen <= 3; ++seen) telemetry_.OnStep(OkStatus(), {.foreign_heads = seen});
  ASSERT_EQ(events_.List().size(), 1u);
  EXPECT_EQ(events_.List().front().count, 1);
}

}  // namespace
}  // namespace mcpfleet
