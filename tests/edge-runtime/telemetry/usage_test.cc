#include "edge-runtime/telemetry/usage.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;

const WallTime kWall{std::chrono::seconds(1'790'000'000)};

UsageCounters At(Duration since, double cpu, int64_t memory) {
  return {.at = MonoTime(1000s) + since, .cpu_seconds = cpu, .memory_bytes = memory};
}

ServerTraffic Calls(int64_t calls, int64_t failed, double seconds) {
  ServerTraffic traffic{.sessions = 3, .calls = calls, .failed = failed};
  traffic.times[BucketOf(seconds)] = calls;
  return traffic;
}

TEST(UsageTest, ASampleIsWhatHappenedBetweenTwoLooks) {
  UsageCounters before = At(0s, 10, 100), now = At(60s, 25, 200);
  before.traffic = Calls(5, 1, 0.02);
  now.traffic = Calls(15, 3, 0.02);
  const UsageSample sample = SampleBetween(before, now, kWall);
  EXPECT_EQ(sample.at_ms, 1'790'000'000'000);
  EXPECT_FLOAT_EQ(sample.seconds, 60);
  EXPECT_FLOAT_EQ(sample.cpu, 0.25);
  EXPECT_EQ(sample.memory_bytes, 200);
  EXPECT_EQ(sample.sessions, 3);
  EXPECT_EQ(sample.calls, 10);
  EXPECT_EQ(sample.failed, 2);
  EXPECT_NEAR(sample.p50_ms, 17.5, 0.01);  // the middle of 10 … 25 ms
  EXPECT_NEAR(sample.p99_ms, 24.85, 0.01);
}

TEST(UsageTest, WhatIsNotKnownIsSaidToBeSo) {
  UsageCounters nothing{.at = MonoTime(1000s)};
  const UsageSample first = SampleBetween(nothing, At(60s, 25, 200), kWall);
  EXPECT_LT(first.cpu, 0) << "no earlier figure";
  EXPECT_EQ(first.memory_bytes, 200);
  EXPECT_LT(first.p50_ms, 0) << "no calls";
  nothing.at = MonoTime(1060s);
  const UsageSample gone = SampleBetween(At(0s, 25, 200), nothing, kWall);
  EXPECT_LT(gone.cpu, 0);
  EXPECT_LT(gone.memory_bytes, 0);
  EXPECT_LT(SampleBetween(At(0s, 25, 200), At(60s, 1, 200), kWall).cpu, 0) << "a new instance";
  EXPECT_LT(SampleBetween(At(0s, 1, 1), At(0s, 2, 1), kWall).cpu, 0) << "no time between";
}

TEST(UsageTest, CountersThatFellBeganAnew) {
  UsageCounters before = At(0s, 1, 1), now = At(60s, 2, 1);
  before.traffic = Calls(100, 50, 0.02);
  now.traffic = Calls(4, 9, 0.5);
  const UsageSample sample = SampleBetween(before, now, kWall);
  EXPECT_EQ(sample.calls, 4);
  EXPECT_EQ(sample.failed, 4) << "never more than there were";
  EXPECT_GT(sample.p50_ms, 250);
}

TEST(UsageTest, QuantilesAreWithinTheirBucket) {
  CallTimes times{};
  EXPECT_LT(QuantileSeconds(times, 0.5), 0);
  EXPECT_EQ(BucketOf(0), 0U);
  EXPECT_EQ(BucketOf(0.001), 0U) << "bounds are included";
  EXPECT_EQ(BucketOf(0.0011), 1U);
  EXPECT_EQ(BucketOf(1000), kOperationSeconds.size());
  times[BucketOf(0.001)] = 98;
  times[BucketOf(4)] = 2;
  EXPECT_LE(QuantileSeconds(times, 0.5), 0.001);
  EXPECT_NEAR(QuantileSeconds(times, 0.99), 3.75, 0.01);
  times[kOperationSeconds.size()] = 1000;
  EXPECT_EQ(QuantileSeconds(times, 0.99), 300) << "longer than all bounds";
}

TEST(UsageTest, TheRingKeepsTheNewestInTheirOrder) {
  UsageRing ring;
  EXPECT_TRUE(ring.List().empty());
  for (int64_t at = 0; at < 150; ++at) ring.Add({.at_ms = at});
  const std::vector<UsageSample> list = ring.List();
  ASSERT_EQ(list.size(), kUsageSamples);
  for (size_t i = 0; i < list.size(); ++i) EXPECT_EQ(list[i].at_ms, static_cast<int64_t>(90 + i));
  static_assert(sizeof(UsageSample) <= 48, "50 servers keep an hour in 150 KB");
}

}  // namespace
}  // namespace mcpfleet
