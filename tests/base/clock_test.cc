#include "base/clock.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;

TEST(ClockTest, DurationsAreReadAsGoWritesThem) {
  EXPECT_EQ(*ParseDuration("1h30m"), 90min);
  EXPECT_EQ(*ParseDuration("1.5s"), 1500ms);
  EXPECT_EQ(*ParseDuration("250ms"), 250ms);
  EXPECT_EQ(*ParseDuration("7us"), 7us);
  EXPECT_EQ(*ParseDuration("0"), 0s);
  for (std::string_view bad : {"", "5", "s", ".s", "-1s", "1d", "1 s", "1s ", "99999999999h", "1e3s", "nan"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
}

TEST(ClockTest, DurationsSurviveWritingAndReading) {
  for (Duration d : {Duration(0s), Duration(1ms), Duration(1500ms), Duration(60s), Duration(3661s), Duration(24h),
                     Duration(3600s + 5ms)}) {
    EXPECT_EQ(*ParseDuration(FormatDuration(d)), d) << FormatDuration(d);
  }
  EXPECT_EQ(FormatDuration(90min), "1h30m");
}

TEST(ClockTest, AgesReadLikeKubectls) {
  EXPECT_EQ(FormatAge(-5s), "0s");
  EXPECT_EQ(FormatAge(119s), "119s");
  EXPECT_EQ(FormatAge(200s), "3m20s");
  EXPECT_EQ(FormatAge(300s), "5m");
  EXPECT_EQ(FormatAge(59min), "59m");
  EXPECT_EQ(FormatAge(4h), "4h");
  EXPECT_EQ(FormatAge(5h + 7min), "5h7m");
  EXPECT_EQ(FormatAge(49h), "2d1h");
  EXPECT_EQ(FormatAge(24h * 30), "30d");
}

TEST(ClockTest, TimesSurviveWritingAndReadingAndOddOnesAreRefused) {
  WallTime time = *ParseTime("2026-11-22T15:04:05Z");
  EXPECT_EQ(FormatTime(time), "2026-11-22T15:04:05Z");
  EXPECT_EQ(FormatTimeMillis(time + std::chrono::microseconds(7999)), "2026-11-22T15:04:05.007Z");
  EXPECT_EQ(*ParseTime("2026-11-22T15:04:05.25Z") - time, 250ms);
  for (std::string_view bad :
       {"", "2026-11-22", "2026-11-22T15:04:05", "2026-11-22T15:04:05+01:00", "2026-02-31T00:00:00Z",
        "2026-1-2T03:04:05Z", " 2026-11-22T15:04:05Z", "2026-11-22T15:04:05Zx", "0002-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z"}) {
    EXPECT_FALSE(ParseTime(bad).ok()) << bad;
  }
}

TEST(ClockTest, ADeadlineTooFarAwayNeverComes) {
  EXPECT_FALSE(Deadline::After(Duration::max()).Expired());
  EXPECT_EQ(Deadline::After(Duration::max()).PollMillis(), -1);
  EXPECT_EQ(Deadline::Never().PollMillis(), -1);
  EXPECT_TRUE(Deadline::After(0s).Expired());
  EXPECT_EQ(Deadline::After(-1s).PollMillis(), 0);
  EXPECT_LE(Deadline::Never().AtMost(1s).Left(), 1s);
  EXPECT_GT(Deadline::After(100us).PollMillis(), -1);
}

TEST(ClockTest, AFakeClockMovesOnlyWhenTold) {
  FakeClock clock;
  MonoTime before = clock.Now();
  WallTime wall = clock.Wall();
  clock.Advance(3s);
  EXPECT_EQ(clock.Now() - before, 3s);
  EXPECT_EQ(clock.Wall() - wall, 3s);
}

}  // namespace
}  // namespace mcpfleet
